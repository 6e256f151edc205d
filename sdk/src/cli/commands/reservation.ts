// `leasehold reserve`, `leasehold release` and `leasehold reservation …`

import type { ReservationKey } from '../../reservation-keys.js';
import type { Reservation, ReserveResult } from '../../reservations.js';
import { command, PAGES } from '../command.js';
import { integer, labels, milliseconds, oneOf, someText, text, toggle } from '../flags.js';
import { item, list, type Output, type View } from '../output.js';
import { state, toned } from '../tones.js';
import { dhcpOptions } from './subnet.js';

/** The enum fields of reservations, wherever they stand. */
export const RESERVATION_ENUMS = { state: 'RESERVATION_STATE_', 'conflict.kind': 'CONFLICT_KIND_' } as const;

/** How reservations are shown. */
export const RESERVATIONS: View<Reservation> = {
  columns: {
    ADDRESS: ({ address }) => address,
    MAC: ({ mac }) => mac,
    STATE: (reservation) => state(reservation.state),
    SUBNET: ({ subnetId }) => subnetId,
    OWNER: ({ owner }) => owner,
    HOSTNAME: ({ hostname }) => hostname,
    READY: (one) => (one.state === 'reserved' ? one.readyServers : undefined),
    REUSABLE: ({ reusableTime }) => reusableTime,
    'BLOCKED BY': ({ blockedByHostIds }) => blockedByHostIds.join(','),
    // That a guest gave its address up, as at its shutdown, is no trouble.
    CONFLICT: ({ conflict }) => conflict && toned(conflict.kind, conflict.kind === 'released' ? undefined : 'bad'),
  },
  enums: RESERVATION_ENUMS,
};

const MAC_HELP = 'MAC of the vNIC, as 52:54:00:aa:bb:cc';

const KEY_ARGS = { reservation: { help: 'Id of the reservation; also one that is over', optional: true } } as const;
const KEY_FLAGS = {
  subnet: someText('ID', 'With --address: the subnet'),
  address: someText('ADDRESS', 'The address it holds'),
  network: someText('ID', 'With --mac: the network'),
  mac: someText('MAC', 'The MAC it is for'),
};
const KEY_USAGE = {
  kind: 'usage',
  problem: 'name it by id, by --subnet and --address, or by --network and --mac',
} as const;

/** The commands about reservations. */
export const reservationCommands = [
  command({
    path: ['reserve'],
    summary: 'Reserves an address for a MAC; again, it answers the same reservation',
    args: {
      subnet: { help: 'Id of the subnet; left out with --network', optional: true },
      mac: { help: MAC_HELP },
    },
    flags: {
      network: someText('ID', 'Instead of a subnet: any subnet of this network that has room'),
      address: someText('ADDRESS', 'This address and no other', 'the system chooses'),
      owner: text('TEXT', "The engine's own name for the vNIC, as vm-42/nic0"),
      hostname: text('NAME', 'Host name told to the guest'),
      label: labels('Label'),
      option: dhcpOptions('DHCP option for this guest alone'),
      ready: integer('Wait until this many DHCP servers confirmed that they can serve it', 0, 16, '0'),
      readyTimeout: milliseconds('How long to wait for them, up to 60s', '5s'),
      requestId: someText('ID', 'Names this request, so that it can be repeated'),
    },
    examples: [
      'reserve red-a 52:54:00:aa:bb:cc',
      'reserve red-a 52:54:00:aa:bb:cc --address 10.0.0.7 --owner vm-42/nic0 --hostname web --label tier=prod',
      'reserve --network red 52:54:00:aa:bb:cc --ready 1 --ready-timeout 10s',
    ],
    async run(leasehold, args, { network, label, option, ready, readyTimeout, ...same }) {
      if (args.subnet === undefined && network === undefined) return { kind: 'usage', problem: 'SUBNET is missing' };
      const waitReady = ready ? { servers: ready, timeoutMs: readyTimeout } : undefined;
      const request = { subnetId: args.subnet, networkId: network, mac: args.mac, labels: label, options: option };
      const result = await leasehold.reservations.reserve({ ...request, ...same, waitReady });
      return reserved(result, ready ?? 0);
    },
  }),
  command({
    path: ['release'],
    summary: 'Gives an address back; it rests before another MAC may have it',
    args: { subnet: { help: 'Id of the subnet' }, address: { help: 'The address, as 10.0.0.7' } },
    flags: {
      guestStopped: toggle(
        'You vouch that the guest no longer uses it; else the lease time is added to its rest',
        'false',
      ),
      reservationId: someText('ID', 'Only this reservation; makes it safe to retry'),
      mac: someText('MAC', 'Only if it is reserved for this MAC'),
      requestId: someText('ID', 'Names this request, so that it can be repeated'),
    },
    examples: ['release red-a 10.0.0.7 --guest-stopped', 'release red-a 10.0.0.7 --mac 52:54:00:aa:bb:cc'],
    async run(leasehold, { subnet: subnetId, address }, flags) {
      return item(RESERVATIONS, await leasehold.reservations.release({ subnetId, address, ...flags }));
    },
  }),
  command({
    path: ['reservation', 'get'],
    summary: 'Shows a reservation, named by its id, its address or its MAC',
    args: KEY_ARGS,
    flags: KEY_FLAGS,
    examples: [
      'reservation get --subnet red-a --address 10.0.0.7',
      'reservation get --network red --mac 52:54:00:aa:bb:cc -o json',
      'reservation get --subnet red-a --address 10.0.0.7 --watch',
    ],
    watched: (_, { network }) => ({ networkId: network, concerns: ({ kind }) => kind === 'reservation' }),
    async run(leasehold, args, flags) {
      const key = keyOf(args.reservation, flags);
      return key ? item(RESERVATIONS, await leasehold.reservations.get(key)) : KEY_USAGE;
    },
  }),
  command({
    path: ['reservation', 'list'],
    summary: 'Lists reservations in address order, reserved and resting ones',
    args: {},
    flags: {
      network: someText('ID', 'Only of this network'),
      subnet: someText('ID', 'Only of this subnet'),
      mac: someText('MAC', 'Only of this MAC'),
      owner: someText('TEXT', 'Only of exactly this owner'),
      state: oneOf(['reserved', 'quarantined'], 'Only in this state', 'both'),
    },
    examples: [
      'reservation list --subnet red-a',
      'reservation list --owner vm-42/nic0 --state reserved -o json',
      'reservation list --subnet red-a --watch',
    ],
    watched: (_, { network, subnet, owner }) => ({
      networkId: network,
      concerns: (event) =>
        event.kind === 'reservation' &&
        (!subnet || event.reservation.subnetId === subnet) &&
        // What it was before is not told: with another owner now, it may have been of this one.
        (!owner || event.change !== 'created' || event.reservation.owner === owner),
    }),
    async run(leasehold, _, { network, subnet, ...same }) {
      const filter = { networkId: network, subnetId: subnet, ...same };
      return list(RESERVATIONS, await leasehold.reservations.list(filter, PAGES).toArray());
    },
  }),
  command({
    path: ['reservation', 'update'],
    summary:
      'Changes settings of a reservation; flags that are not given change nothing, its guest learns it when it renews',
    args: KEY_ARGS,
    flags: {
      ...KEY_FLAGS,
      hostname: text('NAME', 'Host name told to the guest'),
      owner: text('TEXT', "The engine's own name for the vNIC, as vm-42/nic0"),
      label: labels('Label; given at all, they replace those it has'),
      option: dhcpOptions('DHCP option for this guest alone; given at all, they replace those it has'),
      etag: someText('ETAG', 'Only if its settings still are those of this etag'),
    },
    examples: [
      'reservation update --subnet red-a --address 10.0.0.7 --hostname web2',
      "reservation update --network red --mac 52:54:00:aa:bb:cc --owner vm-43/nic0 --label ''",
    ],
    async run(leasehold, args, { hostname, owner, label, option, etag, ...named }) {
      const key = keyOf(args.reservation, named);
      if (!key) return KEY_USAGE;
      const changes = { hostname, owner, labels: label, options: option };
      return item(RESERVATIONS, await leasehold.reservations.update(key, changes, { etag }));
    },
  }),
];

function reserved(result: ReserveResult, wanted: number): Output {
  const short = wanted > 0 && !result.ready;
  const note = `reserved, but only ${result.readyServers} of ${wanted} DHCP servers confirmed it in time`;
  return item(RESERVATIONS, result, short ? note : undefined);
}

interface KeyFlags {
  readonly subnet?: string;
  readonly address?: string;
  readonly network?: string;
  readonly mac?: string;
}

function keyOf(reservationId: string | undefined, flags: KeyFlags): ReservationKey | undefined {
  const { subnet, address, network, mac } = flags;
  const keys: ReservationKey[] = [];
  if (reservationId !== undefined) keys.push({ reservationId });
  if (subnet !== undefined && address !== undefined) keys.push({ subnetId: subnet, address });
  if (network !== undefined && mac !== undefined) keys.push({ networkId: network, mac });
  const [key] = keys;
  return keys.length === 1 ? key : undefined;
}
