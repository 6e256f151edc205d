// `leasehold subnet …`

import type { AddressRange, DhcpOption, Route, Subnet, SubnetChanges } from '../../subnets.js';
import type { WatchEvent } from '../../watch.js';
import { command, PAGES } from '../command.js';
import {
  clearableInteger,
  clearableText,
  type FlagValues,
  labels,
  pairs,
  seconds,
  someText,
  text,
  texts,
  toggle,
} from '../flags.js';
import { item, list, type View } from '../output.js';

const VIEW: View<Subnet> = {
  columns: {
    SUBNET: ({ subnetId }) => subnetId,
    NETWORK: ({ networkId }) => networkId,
    CIDR: ({ cidr }) => cidr,
    GATEWAY: ({ gateway }) => gateway,
    RESERVED: ({ usage }) => usage?.reserved,
    QUARANTINED: ({ usage }) => usage?.quarantined,
    FREE: ({ usage }) => usage?.free,
  },
};

/** DHCP options as `CODE=VALUE`. */
export const dhcpOptions = (help: string) =>
  pairs('CODE=VALUE', '=', help, (code, value): DhcpOption | undefined =>
    /^[0-9]{1,3}$/.test(code) ? { code: Number(code), value } : undefined,
  );

const ranges = (help: string) => pairs('FIRST-LAST', '-', help, (first, last): AddressRange => ({ first, last }));

const SETTINGS = {
  gateway: clearableText('ADDRESS', 'Default router, never handed out'),
  dnsServer: texts('ADDRESS', 'DNS servers, in order'),
  ntpServer: texts('ADDRESS', 'NTP servers, in order'),
  domainName: text('NAME', 'Domain name of the guests'),
  domainSearch: texts('NAME', 'Domains to search'),
  mtu: clearableInteger('Interface MTU in bytes', 576, 65_535),
  route: pairs('CIDR=ROUTER', '=', 'Static route', (destination, nextHop): Route => ({ destination, nextHop })),
  option: dhcpOptions('DHCP option by number, from the allow-list'),
  leaseTime: seconds('How long a guest may use its address without renewing, 2m to 7d', '1h on create'),
  reuseDelay: seconds('How long a released address rests at least, 30s to 7d', '60s on create'),
  probeBeforeUse: toggle(
    'Ask by ARP for a newly chosen address first, and pass over one that is in use',
    'false on create',
  ),
  range: ranges('Where the system may choose addresses; none: the whole CIDR'),
  exclude: ranges('Addresses that are never handed out'),
  label: labels('Label; given at all, they replace those it has'),
};

function toChanges(flags: FlagValues<typeof SETTINGS>): SubnetChanges {
  return {
    gateway: flags.gateway,
    dnsServers: flags.dnsServer,
    ntpServers: flags.ntpServer,
    domainName: flags.domainName,
    domainSearch: flags.domainSearch,
    mtu: flags.mtu,
    routes: flags.route,
    options: flags.option,
    leaseTimeSeconds: flags.leaseTime,
    reuseDelaySeconds: flags.reuseDelay,
    probeBeforeUse: flags.probeBeforeUse,
    allocationRanges: flags.range,
    excludedRanges: flags.exclude,
    labels: flags.label,
  };
}

const ETAG = { etag: someText('ETAG', 'Only if its settings still are those of this etag') };
const subnet = { help: 'Id of the subnet' };

// Its reservations are in its usage.
function changesSubnet(event: WatchEvent, subnetId?: string): boolean {
  if (event.kind === 'subnet') return event.subnet.subnetId === (subnetId ?? event.subnet.subnetId);
  return event.kind === 'reservation' && event.reservation.subnetId === (subnetId ?? event.reservation.subnetId);
}

/** The commands about subnets. */
export const subnetCommands = [
  command({
    path: ['subnet', 'create'],
    summary: 'Creates a subnet of a network',
    args: { subnet: { help: 'Id: lower-case letters, digits, . _ -; left out, the server makes one', optional: true } },
    flags: {
      network: someText('ID', 'Its network, required'),
      cidr: someText('CIDR', 'IPv4 prefix, /8 to /30, as 10.0.0.0/24 or 10.0.0.0/255.255.255.0, required'),
      ...SETTINGS,
      requestId: someText('ID', 'Names this request, so that it can be repeated'),
    },
    examples: [
      'subnet create red-a --network red --cidr 10.0.0.0/24 --gateway 10.0.0.1 --dns-server 10.0.0.2,10.0.0.3',
      'subnet create --network red --cidr 10.1.0.0/16 --range 10.1.1.0-10.1.9.255 --exclude 10.1.5.5-10.1.5.5 --lease-time 12h',
      'subnet create red-c --network red --cidr 10.2.0.0/24 --route 192.168.0.0/16=10.2.0.254 --option 66=tftp.example.org --mtu 1400',
    ],
    async run(leasehold, { subnet: subnetId }, { network: networkId, cidr, requestId, ...settings }) {
      if (networkId === undefined) return { kind: 'usage', problem: '--network is missing' };
      if (cidr === undefined) return { kind: 'usage', problem: '--cidr is missing' };
      const created = { subnetId, networkId, cidr, ...toChanges(settings) };
      return item(VIEW, await leasehold.subnets.create(created, { requestId }));
    },
  }),
  command({
    path: ['subnet', 'get'],
    summary: 'Shows a subnet',
    args: { subnet },
    flags: {},
    examples: ['subnet get red-a', 'subnet get red-a -o yaml', 'subnet get red-a --watch'],
    watched: (args) => ({ concerns: (event) => changesSubnet(event, args.subnet) }),
    run: async (leasehold, args) => item(VIEW, await leasehold.subnets.get(args.subnet)),
  }),
  command({
    path: ['subnet', 'list'],
    summary: 'Lists subnets',
    args: {},
    flags: { network: someText('ID', 'Only of this network') },
    examples: ['subnet list', 'subnet list --network red', 'subnet list --watch'],
    watched: (_, { network }) => ({ networkId: network, concerns: (event) => changesSubnet(event) }),
    async run(leasehold, _, { network }) {
      return list(VIEW, await leasehold.subnets.list({ networkId: network }, PAGES).toArray());
    },
  }),
  command({
    path: ['subnet', 'update'],
    summary: 'Changes settings of a subnet; flags that are not given change nothing, guests learn it when they renew',
    args: { subnet },
    flags: { ...SETTINGS, ...ETAG },
    examples: ['subnet update red-a --lease-time 30m', "subnet update red-a --gateway '' --dns-server 10.0.0.9"],
    async run(leasehold, args, { etag, ...settings }) {
      return item(VIEW, await leasehold.subnets.update(args.subnet, toChanges(settings), { etag }));
    },
  }),
  command({
    path: ['subnet', 'delete'],
    summary: 'Deletes a subnet in which nothing is reserved',
    args: { subnet },
    flags: ETAG,
    examples: ['subnet delete red-a'],
    async run(leasehold, args, { etag }) {
      await leasehold.subnets.delete(args.subnet, { etag });
      return { kind: 'done', text: `subnet ${args.subnet} deleted` };
    },
  }),
];
