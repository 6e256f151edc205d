// `leasehold audit`

import { AUDIT_RESOURCE_KINDS, type AuditEvent, type AuditResourceKind } from '../../audit.js';
import { command, PAGES } from '../command.js';
import { integer, moment, someText } from '../flags.js';
import { list, type View } from '../output.js';
import { RESERVATION_ENUMS } from './reservation.js';

const VIEW: View<AuditEvent> = {
  columns: {
    TIME: ({ time }) => time,
    CALLER: ({ caller }) => caller,
    METHOD: ({ method }) => method,
    RESOURCE: ({ resourceKind, resourceId }) => `${resourceKind}:${resourceId}`,
    NETWORK: ({ networkId }) => networkId,
    CHANGED: changed,
  },
  enums: {
    resourceKind: 'AUDIT_RESOURCE_KIND_',
    ...RESERVATION_ENUMS,
    liveness: 'HOST_LIVENESS_',
    breaker: 'BREAKER_STATE_',
  },
};

// They follow from what else changed.
const FOLLOWING: ReadonlySet<string> = new Set(['etag', 'updateTime', 'releasedBy', 'releaseTime']);

/** The names of the settings that are others than before. */
function changed({ before, after }: AuditEvent): string {
  if (!before || !after) return '';
  const [was, is] = [new Map<string, unknown>(Object.entries(before)), Object.entries(after)];
  const others = is.filter(([name, value]) => JSON.stringify(was.get(name)) !== JSON.stringify(value));
  return others
    .filter(([name]) => !FOLLOWING.has(name))
    .map(([name]) => name.replace(/Seconds$/, '').replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`))
    .join(',');
}

const RESOURCE = `expected one of ${AUDIT_RESOURCE_KINDS.join(', ')}, as subnet or subnet:ID`;

/** The command about who changed what. */
export const auditCommands = [
  command({
    path: ['audit'],
    summary: 'Lists who changed what, newest first; -o json shows from what to what',
    args: {},
    flags: {
      network: someText('ID', 'Only of this network, its subnets, reservations and placements'),
      resource: someText(
        'KIND[:ID]',
        `Only of this kind (${AUDIT_RESOURCE_KINDS.join(', ')}), or of this one, also when it was deleted`,
      ),
      caller: someText('NAME', 'Only by exactly this caller'),
      since: moment('Only from then on'),
      until: moment('Only before then'),
      limit: integer('At most this many, the newest', 1, 1_000_000),
    },
    examples: [
      'audit --network red --since 24h',
      'audit --resource subnet:red-a -o json',
      'audit --resource host --caller engine/ovirt --limit 20',
    ],
    async run(leasehold, _, { network, resource, caller, since, until, limit = Number.POSITIVE_INFINITY }, nowMs) {
      const named = resource === undefined ? {} : readResource(resource);
      if (!named) return { kind: 'usage', problem: `--resource: ${RESOURCE}` };
      const span = { startTime: since?.(nowMs), endTime: until?.(nowMs) };
      const options = { pageSize: Math.min(limit, PAGES.pageSize) };
      const events: AuditEvent[] = [];
      for await (const event of leasehold.audit.list({ networkId: network, caller, ...named, ...span }, options)) {
        events.push(event);
        if (events.length >= limit) break;
      }
      return list(VIEW, events);
    },
  }),
];

function readResource(
  given: string,
): { readonly resourceKind: AuditResourceKind; readonly resourceId?: string } | undefined {
  const [, name = '', , resourceId = ''] = /^([a-z]+)(:(.+))?$/.exec(given) ?? [];
  const resourceKind = AUDIT_RESOURCE_KINDS.find((kind) => kind === name);
  return resourceKind && { resourceKind, ...(resourceId !== '' && { resourceId }) };
}
