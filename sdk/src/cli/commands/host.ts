// `leasehold host …`

import type { Host } from '../../hosts.js';
import { command, PAGES } from '../command.js';
import { labels, someText, toggle } from '../flags.js';
import { item, list, type View } from '../output.js';
import { state, toned } from '../tones.js';

const VIEW: View<Host> = {
  columns: {
    HOST: ({ hostId }) => hostId,
    LIVENESS: ({ liveness }) => state(liveness),
    MANAGED: ({ managed }) => (managed ? 'yes' : toned('no', 'warn')),
    MAINTENANCE: ({ maintenance }) => (maintenance ? toned('yes', 'warn') : 'no'),
    BREAKER: ({ breaker }) => state(breaker),
    DOMAIN: ({ failureDomain }) => failureDomain,
    FENCED: ({ fence }) => fence?.reason,
    NETWORKS: ({ attachments }) => attachments.map(({ networkId }) => networkId).join(','),
    'LAST HEARTBEAT': ({ lastHeartbeatTime }) => lastHeartbeatTime,
  },
  enums: { liveness: 'HOST_LIVENESS_', breaker: 'BREAKER_STATE_' },
};

const ETAG = { etag: someText('ETAG', 'Only if its settings still are those of this etag') };
const host = { help: "Id of the host, its agent's --host-id" };

/** The commands about hosts. */
export const hostCommands = [
  command({
    path: ['host', 'get'],
    summary: 'Shows a host',
    args: { host },
    flags: {},
    examples: ['host get h1', 'host get h1 --watch'],
    watched: (args) => ({ concerns: (event) => event.kind === 'host' && event.host.hostId === args.host }),
    run: async (leasehold, args) => item(VIEW, await leasehold.hosts.get(args.host)),
  }),
  command({
    path: ['host', 'list'],
    summary: 'Lists hosts',
    args: {},
    flags: { network: someText('ID', 'Only hosts that have this network on an interface') },
    examples: ['host list', 'host list --network red', 'host list --watch'],
    watched: () => ({ concerns: ({ kind }) => kind === 'host' }),
    async run(leasehold, _, { network }) {
      return list(VIEW, await leasehold.hosts.list({ networkId: network }, PAGES).toArray());
    },
  }),
  command({
    path: ['host', 'update'],
    summary: 'Changes settings of a host; flags that are not given change nothing',
    args: { host },
    flags: {
      managed: toggle('Whether the manager may use it; false serves nothing any more'),
      maintenance: toggle('True moves its networks to other hosts and gives it no new ones'),
      label: labels('Label; given at all, they replace those it has'),
      ...ETAG,
    },
    examples: ['host update h1 --maintenance', 'host update h1 --no-managed'],
    async run(leasehold, args, { etag, label, ...same }) {
      return item(VIEW, await leasehold.hosts.update(args.host, { labels: label, ...same }, { etag }));
    },
  }),
  command({
    path: ['host', 'delete'],
    summary: 'Forgets a host that is not connected',
    args: { host },
    flags: ETAG,
    examples: ['host delete h1'],
    async run(leasehold, args, { etag }) {
      await leasehold.hosts.delete(args.host, { etag });
      return { kind: 'done', text: `host ${args.host} deleted` };
    },
  }),
  command({
    path: ['fence'],
    summary: 'Vouches that a host is dead, so that addresses it may still answer with need not wait for it',
    args: { host },
    flags: { reason: someText('TEXT', 'How you know that it cannot answer any guest, required') },
    examples: ["fence h1 --reason 'pulled its plug'"],
    async run(leasehold, args, { reason }) {
      if (reason === undefined) return { kind: 'usage', problem: '--reason is missing' };
      return item(VIEW, await leasehold.hosts.fence(args.host, reason));
    },
  }),
];
