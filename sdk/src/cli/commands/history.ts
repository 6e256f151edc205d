// `leasehold history`

import type { HistoryFilter, Reservation } from '../../reservations.js';
import { command, PAGES } from '../command.js';
import { moment, someText } from '../flags.js';
import { list, type View } from '../output.js';
import { RESERVATION_ENUMS } from './reservation.js';

const VIEW: View<Reservation> = {
  columns: {
    ADDRESS: ({ address }) => address,
    MAC: ({ mac }) => mac,
    RESERVED: ({ createTime }) => createTime,
    RELEASED: ({ releaseTime }) => releaseTime,
    ENDED: ({ endTime }) => endTime,
    SUBNET: ({ subnetId }) => subnetId,
    OWNER: ({ owner }) => owner,
  },
  enums: RESERVATION_ENUMS,
};

/** The command about who had an address. */
export const historyCommands = [
  command({
    path: ['history'],
    summary: 'Lists who had an address, or which addresses a MAC or an owner had, newest first',
    args: {
      subnet: { help: 'Id of the subnet, with ADDRESS; also one that was deleted', optional: true },
      address: { help: 'The address, as 10.0.0.7', optional: true },
    },
    flags: {
      mac: someText('MAC', 'Of this MAC'),
      owner: someText('TEXT', 'Of exactly this owner'),
      network: someText('ID', 'Only in this network'),
      since: moment('Only what was not over by then'),
      until: moment('Only what had begun before then'),
    },
    examples: [
      'history red-a 10.0.0.7 --since 2026-01-06 --until 2026-01-07',
      'history --mac 52:54:00:aa:bb:cc --since 24h',
      'history --owner vm-42/nic0 --network red -o json',
    ],
    async run(leasehold, { subnet, address }, { mac, owner, network, since, until }, nowMs) {
      if (subnet !== undefined && address === undefined) return { kind: 'usage', problem: 'ADDRESS is missing' };
      const filter = whose(subnet, address, mac, owner);
      if (!filter) return { kind: 'usage', problem: 'name an address by SUBNET and ADDRESS, or give --mac or --owner' };
      const span = { networkId: network, startTime: since?.(nowMs), endTime: until?.(nowMs) };
      return list(VIEW, await leasehold.reservations.history({ ...filter, ...span }, PAGES).toArray());
    },
  }),
];

function whose(
  subnetId: string | undefined,
  address: string | undefined,
  mac: string | undefined,
  owner: string | undefined,
): HistoryFilter | undefined {
  const also = { ...(mac !== undefined && { mac }), ...(owner !== undefined && { owner }) };
  if (subnetId !== undefined && address !== undefined) return { subnetId, address, ...also };
  if (mac !== undefined) return { mac, ...also };
  return owner === undefined ? undefined : { owner };
}
