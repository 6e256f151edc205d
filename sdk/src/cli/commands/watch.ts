// `leasehold watch`

import type { WatchEvent } from '../../watch.js';
import { command } from '../command.js';
import { someText, toggle } from '../flags.js';
import { type Cell, type Line, line } from '../output.js';
import { RESERVATION_ENUMS } from './reservation.js';

/** The command that shows changes. */
export const watchCommands = [
  command({
    path: ['watch'],
    summary: 'Shows changes as they happen, a line each, until Ctrl-C',
    args: {},
    flags: {
      network: someText('ID', 'Only of this network, and no hosts'),
      snapshot: toggle('First show all that is there', 'false'),
      resumeToken: someText('TOKEN', 'Go on after this position, the resume_token of an event', 'from now on'),
    },
    examples: ['watch --network red --snapshot', 'watch -o json'],
    async run(leasehold, _, { network, ...same }) {
      if (same.snapshot && same.resumeToken)
        return { kind: 'usage', problem: '--snapshot and --resume-token exclude each other' };
      return {
        kind: 'stream',
        lines: (signal) => toLines(leasehold.watch({ networkId: network, ...same, signal })),
      };
    },
  }),
];

async function* toLines(events: AsyncIterable<WatchEvent>): AsyncGenerator<Line> {
  for await (const event of events) yield line(ENUMS, event, cellsOf(event));
}

const ENUMS = {
  ...RESERVATION_ENUMS,
  ...{ change: 'CHANGE_TYPE_', liveness: 'HOST_LIVENESS_', breaker: 'BREAKER_STATE_' },
  'placement.state': 'PLACEMENT_STATE_',
} as const;

function cellsOf(event: WatchEvent): readonly Cell[] | undefined {
  switch (event.kind) {
    case 'reservation': {
      const { address, mac, state, subnetId, owner } = event.reservation;
      return [...head(event.kind, event.change), address, mac, state, subnetId, owner];
    }
    case 'network':
      return [
        ...head(event.kind, event.change),
        event.network.networkId,
        event.network.ipamEnabled ? 'enabled' : 'disabled',
      ];
    case 'subnet':
      return [...head(event.kind, event.change), event.subnet.subnetId, event.subnet.cidr, event.subnet.networkId];
    case 'host':
      return [...head(event.kind, event.change), event.host.hostId];
    case 'placement':
      return [
        ...head(event.kind, event.change),
        event.placement.networkId,
        event.placement.hostId,
        event.placement.state,
      ];
    case 'snapshot-end':
      return head('snapshot', 'complete');
    case 'restart':
      return head('snapshot', 'begins again, what it showed so far is void');
    case 'bookmark':
      return undefined;
  }
}

function head(kind: string, change: string): readonly Cell[] {
  return [kind.padEnd('reservation'.length), change.padEnd('present'.length)];
}
