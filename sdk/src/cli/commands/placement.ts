// `leasehold placement …` and `leasehold rebalance`

import type { Placement, PlacementMove } from '../../placements.js';
import { command, PAGES } from '../command.js';
import { someText, toggle } from '../flags.js';
import { list, type View } from '../output.js';
import { state } from '../tones.js';

const VIEW: View<Placement> = {
  columns: {
    NETWORK: ({ networkId }) => networkId,
    HOST: ({ hostId }) => hostId,
    STATE: (placement) => state(placement.state),
    SINCE: ({ since }) => since,
    PENDING: ({ pendingChanges }) => pendingChanges,
    SYNCED: ({ syncedTime }) => syncedTime,
    EPOCH: ({ epoch }) => epoch,
  },
  enums: { state: 'PLACEMENT_STATE_' },
};

const MOVES: View<PlacementMove> = {
  columns: {
    NETWORK: ({ networkId }) => networkId,
    FROM: ({ fromHostId }) => fromHostId,
    TO: ({ toHostId }) => toHostId,
  },
};

/** The commands about placements. */
export const placementCommands = [
  command({
    path: ['placement', 'list'],
    summary: 'Lists which hosts serve which networks',
    args: {},
    flags: { network: someText('ID', 'Only of this network'), host: someText('ID', 'Only on this host') },
    examples: ['placement list', 'placement list --network red', 'placement list --watch'],
    watched: (_, { network }) => ({ networkId: network, concerns: ({ kind }) => kind === 'placement' }),
    async run(leasehold, _, { network, host }) {
      return list(VIEW, await leasehold.placements.list({ networkId: network, hostId: host }, PAGES).toArray());
    },
  }),
  command({
    path: ['rebalance'],
    summary: 'Evens out which hosts serve which networks, and lists what was moved',
    args: {},
    flags: {
      network: someText('ID', 'Only of this network'),
      dryRun: toggle('Move nothing, and list what would be moved', 'false'),
    },
    examples: ['rebalance --dry-run', 'rebalance', 'rebalance --network red'],
    async run(leasehold, _, { network, dryRun }) {
      return list(MOVES, await leasehold.placements.rebalance({ networkId: network, validateOnly: dryRun }));
    },
  }),
];
