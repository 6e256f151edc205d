// `leasehold network …`

import type { Network, NetworkStatus } from '../../networks.js';
import type { WatchEvent } from '../../watch.js';
import { command, PAGES } from '../command.js';
import { integer, labels, someText, text, toggle } from '../flags.js';
import { item, list, type View } from '../output.js';
import { state, type Toned, toned } from '../tones.js';

const VIEW: View<Network> = {
  columns: {
    NETWORK: ({ networkId }) => networkId,
    IPAM: ({ ipamEnabled }) => state(ipamEnabled ? 'enabled' : 'disabled'),
    SUBNETS: ({ status }) => status?.subnets,
    SERVING: ({ status }) => status && serving(status),
    'SHORT SINCE': ({ status }) => status?.shortSince,
    NAME: ({ displayName }) => displayName,
  },
};

function serving({ serversServing, serversWanted, shortSince }: NetworkStatus): Toned {
  const short = serversServing === 0 ? 'bad' : 'warn';
  return toned(`${serversServing}/${serversWanted}`, shortSince ? short : 'good');
}

const SETTINGS = {
  displayName: text('TEXT', 'Name for people, up to 255 characters'),
  ipamEnabled: toggle('Whether Leasehold serves it', 'true on create'),
  dhcpServerCount: integer('How many hosts shall serve DHCP', 0, 16, '1 on create'),
  label: labels('Label; given at all, they replace those it has'),
};

const ETAG = { etag: someText('ETAG', 'Only if its settings still are those of this etag') };
const network = { help: 'Id of the network' };

// Its subnets and placements are in its status.
const changesNetworks = ({ kind }: WatchEvent): boolean =>
  kind === 'network' || kind === 'subnet' || kind === 'placement';

/** The commands about networks. */
export const networkCommands = [
  command({
    path: ['network', 'create'],
    summary: 'Creates a network',
    args: {
      network: { help: 'Id: lower-case letters, digits, . _ -; left out, the server makes one', optional: true },
    },
    flags: { ...SETTINGS, requestId: someText('ID', 'Names this request, so that it can be repeated') },
    examples: [
      'network create red',
      'network create red --display-name "Red team" --dhcp-server-count 2 --label tier=prod',
    ],
    async run(leasehold, args, { requestId, label, ...settings }) {
      const network = { networkId: args.network, labels: label, ...settings };
      return item(VIEW, await leasehold.networks.create(network, { requestId }));
    },
  }),
  command({
    path: ['network', 'get'],
    summary: 'Shows a network',
    args: { network },
    flags: {},
    examples: ['network get red', 'network get red -o json', 'network get red --watch'],
    watched: (args) => ({ networkId: args.network, concerns: changesNetworks }),
    run: async (leasehold, args) => item(VIEW, await leasehold.networks.get(args.network)),
  }),
  command({
    path: ['network', 'list'],
    summary: 'Lists networks',
    args: {},
    flags: {},
    examples: ['network list', 'network list --watch'],
    watched: () => ({ concerns: changesNetworks }),
    run: async (leasehold) => list(VIEW, await leasehold.networks.list(PAGES).toArray()),
  }),
  command({
    path: ['network', 'update'],
    summary: 'Changes settings of a network; flags that are not given change nothing',
    args: { network },
    flags: { ...SETTINGS, ...ETAG },
    examples: ['network update red --dhcp-server-count 3', 'network update red --no-ipam-enabled'],
    async run(leasehold, args, { etag, label, ...settings }) {
      return item(VIEW, await leasehold.networks.update(args.network, { labels: label, ...settings }, { etag }));
    },
  }),
  command({
    path: ['network', 'delete'],
    summary: 'Deletes a network without subnets',
    args: { network },
    flags: ETAG,
    examples: ['network delete red'],
    async run(leasehold, args, { etag }) {
      await leasehold.networks.delete(args.network, { etag });
      return { kind: 'done', text: `network ${args.network} deleted` };
    },
  }),
];
