// `leasehold placement …`

import type { Placement } from '../../placements.js';
import { command, PAGES } from '../command.js';
import { text } from '../flags.js';
import { list, type View } from '../output.js';

const VIEW: View<Placement> = {
  columns: {
    NETWORK: ({ networkId }) => networkId,
    HOST: ({ hostId }) => hostId,
    STATE: ({ state }) => state,
    SINCE: ({ since }) => since,
    PENDING: ({ pendingChanges }) => pendingChanges,
    SYNCED: ({ syncedTime }) => syncedTime,
    EPOCH: ({ epoch }) => epoch,
  },
  enums: { state: 'PLACEMENT_STATE_' },
};

/** The commands about placements. */
export const placementCommands = [
  command({
    path: ['placement', 'list'],
    summary: 'Lists which hosts serve which networks',
    args: {},
    flags: { network: text('ID', 'Only of this network'), host: text('ID', 'Only on this host') },
    examples: ['placement list', 'placement list --network red'],
    async run(leasehold, _, { network, host }) {
      return list(VIEW, await leasehold.placements.list({ networkId: network, hostId: host }, PAGES).toArray());
    },
  }),
];
