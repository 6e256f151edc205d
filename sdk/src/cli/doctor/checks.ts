// What `leasehold doctor` makes of what it read: pure functions from what was seen to findings. A check is a row of CHECKS.
//
//   D1. A finding that is a warning or a problem says what to do next.
//   D2. What could not be read is a problem, never silence.
//   D3. An area in which nothing is wrong says so in one line.

import type { LeaseholdError } from '../../errors.js';
import type { Host } from '../../hosts.js';
import type { Network } from '../../networks.js';
import type { Placement } from '../../placements.js';
import type { Reservation } from '../../reservations.js';
import { parseServerAddress } from '../../server-address.js';
import type { Brake, Status } from '../../status.js';
import type { Subnet } from '../../subnets.js';
import { said } from '../errors.js';
import type { Finding, Severity } from '../findings.js';
import { nextStep } from '../next-steps.js';
import { cellText } from '../output.js';
import { severityOfEnd } from './certificates.js';

/** What was read, or why it could not be. */
export type Read<T> = { readonly ok: true; readonly value: T } | { readonly ok: false; readonly error: LeaseholdError };

/** How a server that is named on the command line is. */
export interface SeenServer {
  readonly name: string;
  readonly status: Read<Status>;
}

/** Everything that was read of an installation that answers. */
export interface Seen extends SeenResources {
  readonly nowMs: number;
  readonly servers: readonly SeenServer[];
  /** Undefined: there is no certificate of one's own. */
  readonly ownCertificateEnd: Date | undefined;
  /** Of the first server that answers. */
  readonly status: Status;
}

/** What was read of its resources. */
export interface SeenResources {
  readonly hosts: Read<readonly Host[]>;
  readonly networks: Read<readonly Network[]>;
  readonly subnets: Read<readonly Subnet[]>;
  readonly placements: Read<readonly Placement[]>;
  /** Undefined: there are too many to read them all. */
  readonly reservations: Read<readonly Reservation[]> | undefined;
  /** Since when answers are from memory. Undefined: they are not. */
  readonly staleSince: Date | undefined;
}

const TRY_AGAIN = "Try again; if it stays so, the server's log says why";

type Check = (seen: Seen) => readonly Finding[];

/** Everything that is looked at, in the order of the report. */
const CHECKS: Readonly<Record<string, Check>> = {
  server: serverFindings,
  store: storeFindings,
  holder: holderFindings,
  brakes: ({ status, nowMs }) => status.brakes.map((brake) => brakeFinding(brake, nowMs)),
  hosts: (seen) => within(seen.hosts, 'hosts', (hosts) => hostFindings(hosts, seen)),
  networks: (seen) => within(seen.networks, 'networks', networkFindings),
  placements: (seen) => within(seen.placements, 'placements', (placements) => placementFindings(placements, seen)),
  subnets: (seen) => within(seen.subnets, 'subnets', (subnets) => subnets.flatMap(subnetFindings)),
  reservations: (seen) => (seen.reservations ? within(seen.reservations, 'reservations', conflictFindings) : []),
};

/** Everything that is found of an installation that answers. */
export function examine(seen: Seen): readonly Finding[] {
  return Object.entries(CHECKS).flatMap(([area, check]) => {
    const found = check(seen);
    if (found.some(({ severity }) => severity === 'problem' || severity === 'warning')) return found;
    return [...found, { check: area, severity: 'ok' as const, about: area, what: wellDone(area, seen) }];
  });
}

/** What is found of a server that gives no status, of one that does nothing; `oneOfMany`: its name tells it from others. */
export function unreachable({ name, status }: SeenServer, oneOfMany: boolean): readonly Finding[] {
  if (status.ok) return [];
  const { error } = status;
  const what = said(error);
  const about = oneOfMany ? `server ${name}` : 'server';
  return [{ check: 'server-unreachable', severity: 'problem', about, what, next: nextStep(error) ?? TRY_AGAIN }];
}

/** What is found of the certificate that this side shows. */
export function ownCertificateFindings(end: Date | undefined, nowMs: number): readonly Finding[] {
  const next = 'Put a new one in the place of --tls-cert and --tls-key';
  return endFindings('own-certificate', 'own certificate', end, nowMs, next);
}

/** What a check makes of what it needs; that it could not be read is what it finds else. */
function within<T>(read: Read<T>, area: string, check: (value: T) => readonly Finding[]): readonly Finding[] {
  if (read.ok) return check(read.value);
  const what = `could not be read: ${said(read.error)}`;
  return [{ check: `${area}-unread`, severity: 'problem', about: area, what, next: nextStep(read.error) ?? TRY_AGAIN }];
}

function serverFindings({ servers, ownCertificateEnd, nowMs }: Seen): readonly Finding[] {
  const many = servers.length > 1;
  const found = servers.flatMap((server): readonly Finding[] => {
    const { name, status } = server;
    if (!status.ok) return unreachable(server, many);
    const { insecureListeners, certificateEndTime } = status.value;
    const about = many ? `certificate of ${name}` : 'certificate of the server';
    const next = 'Give it a new one: it reads its files again when they change (docs/operations.md)';
    return [
      ...listenerFindings(insecureListeners, many ? ` of ${name}` : ''),
      ...endFindings('server-certificate', about, certificateEndTime, nowMs, next),
    ];
  });
  return [...found, ...ownCertificateFindings(ownCertificateEnd, nowMs)];
}

function endFindings(
  check: string,
  about: string,
  end: Date | undefined,
  nowMs: number,
  next: string,
): readonly Finding[] {
  const severity = end && severityOfEnd(end, nowMs);
  if (!severity) return [];
  const what = `${end.getTime() <= nowMs ? 'has ended' : 'ends'} at ${cellText(end)}`;
  return [{ check, severity, about, what, next }];
}

function listenerFindings(listeners: readonly string[], whose: string): readonly Finding[] {
  const open = listeners.filter((listener) => {
    const address = parseServerAddress(listener);
    return !address.ok || !address.value.local;
  });
  return open.map((listener) => ({
    check: 'listener-insecure',
    severity: 'warning',
    about: `listener ${listener}${whose}`,
    what: 'takes calls without TLS from the network: whoever reaches it can do everything',
    next: 'Give the server TLS, or let it listen on loopback and unix sockets only',
  }));
}

function storeFindings(seen: Seen): readonly Finding[] {
  return seen.servers.flatMap(({ name, status }) => {
    if (!status.ok) return [];
    // The rest was asked of the first that answers.
    const staleSince = status.value === seen.status ? seen.staleSince : undefined;
    return storeOf(status.value, staleSince, seen.servers.length > 1 ? ` of ${name}` : '');
  });
}

function storeOf({ store }: Status, staleSince: Date | undefined, whose: string): readonly Finding[] {
  const about = `store ${store?.kind ?? ''}`.trim() + whose;
  const next = "Look at the store and at the server's log (docs/stores.md)";
  const away = store?.unavailableSince ?? staleSince;
  if (away) {
    return [{ check: 'store-away', severity: 'problem', about, what: `cannot be used since ${cellText(away)}`, next }];
  }
  if (store?.breaker === 'open') {
    return [{ check: 'store-breaker', severity: 'problem', about, what: 'its circuit breaker is open', next }];
  }
  if (store?.breaker !== 'half-open') return [];
  const what = 'its circuit breaker is half open: it failed a moment ago, and is tried again';
  return [{ check: 'store-breaker', severity: 'warning', about, what, next: 'Look again in a minute' }];
}

function holderFindings({ status: { holder } }: Seen): readonly Finding[] {
  if (holder) return [];
  const what = 'no server leads: hosts have no session, nothing is placed, no address becomes free';
  const next = "One leads within seconds; if not, the servers' logs say why (docs/operations.md)";
  return [{ check: 'holder-missing', severity: 'problem', about: 'holder', what, next }];
}

// A moment of these is normal: after a start, or while something is repaired.
const BRAKE_PATIENCE_MS = 120_000;

const BRAKES: Readonly<Record<string, { readonly always?: Severity; readonly next: string }>> = {
  START: { next: 'Normal for seconds after a start; with thousands of hosts for two minutes' },
  STALL: { next: 'The server stood still: look at its CPU, disk, and whether it was suspended' },
  STORE: { next: 'The store does not answer in time: look at it' },
  MASS_SILENCE: { always: 'problem', next: 'Look at the network between server and hosts, not at the hosts' },
  BUDGET: { next: 'Hosts die faster than they are replaced: see which are down by leasehold host list' },
  HOLD_STILL: {
    always: 'problem',
    next: 'The store is older than what hosts know: do what docs/moving-stores.md says of holding still',
  },
};

function brakeFinding({ kind, reason, since }: Brake, nowMs: number): Finding {
  const { always, next } = BRAKES[kind] ?? { next: 'See docs/placement.md' };
  const long = since !== undefined && nowMs - since.getTime() > BRAKE_PATIENCE_MS;
  const soon: Severity = kind === 'START' ? 'note' : 'warning';
  const what = `${reason || 'engaged'}${since ? `, since ${cellText(since)}` : ''}`;
  return { check: 'brake', severity: always ?? (long ? 'problem' : soon), about: `brake ${kind}`, what, next };
}

function hostFindings(hosts: readonly Host[], seen: Seen): readonly Finding[] {
  if (hosts.length > 0) return hosts.flatMap((host) => [...hostState(host, seen), ...attachmentFindings(host)]);
  const what = 'there is none: no agent ever said hello, so nobody serves DHCP';
  const next = 'Start leasehold-agent on the hosts (docs/agent.md)';
  return [{ check: 'hosts-none', severity: 'warning', about: 'hosts', what, next }];
}

function hostState(host: Host, { status }: Seen): readonly Finding[] {
  const about = `host ${host.hostId}`;
  const found: Finding[] = [];
  const add = (check: string, severity: Severity, what: string, next?: string) =>
    found.push({ check, severity, about, what, ...(next === undefined ? {} : { next }) });
  const inUse = host.managed && !host.maintenance;
  if (host.liveness === 'down') {
    const gone = 'Look at it and its agent; gone for good: leasehold fence, then leasehold host delete';
    if (host.fence) add('host-fenced', 'note', 'is down, and fenced', 'Gone for good: leasehold host delete');
    else add('host-down', inUse ? 'problem' : 'warning', 'is down', gone);
  }
  if (host.liveness === 'suspect') add('host-suspect', 'warning', 'is silent, not for long enough to be down', AGAIN);
  if (host.liveness === 'unknown' && status.holder) add('host-unknown', 'warning', 'was not heard yet', AGAIN);
  if (host.breaker === 'open' || host.breaker === 'half-open') {
    const what = `the circuit breaker of its commands is ${host.breaker}: it gets no new networks`;
    add('host-breaker', 'warning', what, "Its agent does not do what it is told: look at the agent's log");
  }
  if (!host.managed) add('host-unmanaged', 'note', 'is not managed: it serves nothing');
  else if (host.maintenance) add('host-maintenance', 'note', 'is in maintenance: it gets no networks');
  if (host.agentVersion !== '' && host.agentVersion !== status.version) {
    add('host-version', 'note', `runs agent ${host.agentVersion}, the server is ${status.version}`);
  }
  return found;
}

const AGAIN = 'Look again in a few seconds';

function attachmentFindings({ hostId, attachments }: Host): readonly Finding[] {
  return attachments.flatMap(({ networkId, interface: name, ready, reason, foreignDhcpServers }) => {
    const foreign = foreignDhcpServers.map(
      ({ address, mac }): Finding => ({
        check: 'foreign-dhcp',
        severity: 'problem',
        about: `network ${networkId}`,
        what: `a DHCP server that is not Leasehold's answers there: ${address}${mac && ` (${mac})`}`,
        next: 'Guests may get any address from it: take it off the network',
      }),
    );
    if (ready) return foreign;
    const next = "Bring up the interface on the host, or correct the agent's --network";
    const about = `host ${hostId}`;
    const what = `cannot serve ${networkId} on ${name}: ${reason || 'it is not ready'}`;
    return [...foreign, { check: 'attachment', severity: 'warning' as const, about, what, next }];
  });
}

function networkFindings(networks: readonly Network[]): readonly Finding[] {
  return networks.flatMap(({ networkId, ipamEnabled, dhcpServerCount, status }): readonly Finding[] => {
    const about = `network ${networkId}`;
    if (!ipamEnabled) return [{ check: 'network-disabled', severity: 'note', about, what: 'IPAM is disabled' }];
    if (!status) return [];
    if (status.shortSince) {
      const { serversServing: serving, serversWanted: wanted, shortReason: why, shortSince } = status;
      const what = `${serving} of ${wanted} DHCP servers since ${cellText(shortSince)}: ${why || 'no reason is known'}`;
      const next = `See which hosts have it: leasehold host list --network ${networkId}`;
      return [{ check: 'network-short', severity: serving === 0 ? 'problem' : 'warning', about, what, next }];
    }
    if (status.subnets === 0) return [{ check: 'network-empty', severity: 'note', about, what: 'has no subnet' }];
    if (dhcpServerCount > 0) return [];
    return [{ check: 'network-unserved', severity: 'note', about, what: 'wants no DHCP server' }];
  });
}

// A host confirms within a second; what takes this long is stuck.
const CONFIRM_PATIENCE_MS = 30_000;

function placementFindings(placements: readonly Placement[], { nowMs }: Seen): readonly Finding[] {
  return placements.flatMap(({ networkId, hostId, state, since }): readonly Finding[] => {
    if (state === 'assigned' && nowMs - since.getTime() > CONFIRM_PATIENCE_MS) {
      const what = 'does not confirm that it serves what it was given';
      const next = 'Look at its agent, and at leasehold placement list';
      return [{ check: 'placement-unconfirmed', severity: 'warning', about: `host ${hostId}`, what, next }];
    }
    if (state !== 'former') return [];
    const what = 'may still answer there though it is away: addresses released meanwhile rest longer';
    const next = 'When it is dead for good: leasehold fence';
    return [{ check: 'placement-former', severity: 'note', about: `host ${hostId} in ${networkId}`, what, next }];
  });
}

function subnetFindings({ subnetId, usage }: Subnet): readonly Finding[] {
  const used = usedShare(usage);
  if (!usage || used < 0.8) return [];
  const what = `${percent(used)} full: ${usage.free} of ${usage.capacity} addresses free, ${usage.quarantined} quarantined`;
  const next = 'Widen its ranges, or give the network another subnet';
  return [
    { check: 'subnet-full', severity: used < 0.95 ? 'warning' : 'problem', about: `subnet ${subnetId}`, what, next },
  ];
}

function usedShare(usage: Subnet['usage']): number {
  return usage && usage.capacity > 0 ? (usage.reserved + usage.quarantined) / usage.capacity : 0;
}

const percent = (share: number): string => `${Math.floor(share * 100)} %`;

function conflictFindings(reservations: readonly Reservation[]): readonly Finding[] {
  return reservations.flatMap(({ address, subnetId, mac, conflict }): readonly Finding[] => {
    // A guest that gives its address up, as at its shutdown, is no trouble.
    if (!conflict || conflict.kind === 'released') return [];
    const by = conflict.sourceMac === mac ? 'its own guest' : conflict.sourceMac || 'somebody';
    const what = `${conflict.kind} at ${cellText(conflict.time)}, by ${by}, noticed by host ${conflict.hostId}`;
    const next = 'Find the machine that uses the address without a reservation';
    return [{ check: 'conflict', severity: 'warning', about: `${address} of ${subnetId}`, what, next }];
  });
}

/** The line of an area in which nothing is wrong. */
function wellDone(area: string, seen: Seen): string {
  const { status, hosts, networks, subnets, placements } = seen;
  const count = (read: Read<readonly unknown[]>) => (read.ok ? read.value.length : 0);
  switch (area) {
    case 'server':
      return seen.servers.length > 1
        ? `all ${seen.servers.length} answer`
        : `Leasehold ${status.version}, ${status.server}, answers`;
    case 'store':
      return `${status.store?.kind ?? 'of unknown kind'}, usable`;
    case 'holder':
      return `${status.holder?.server ?? ''} leads`;
    case 'brakes':
      return status.brakes.length === 0 ? 'none is engaged' : 'none that lasts';
    case 'hosts':
      return `${hosts.ok ? hosts.value.filter(({ liveness }) => liveness === 'up').length : 0} of ${count(hosts)} are up`;
    case 'networks':
      return `${count(networks)}, none short of DHCP servers`;
    case 'placements':
      return `${count(placements)}, all confirmed`;
    case 'subnets':
      return fullest(subnets.ok ? subnets.value : []);
    default:
      return seen.reservations ? 'no conflict is known' : 'too many to look for conflicts: leasehold watch tells them';
  }
}

function fullest(subnets: readonly Subnet[]): string {
  const [most] = subnets.toSorted((a, b) => usedShare(b.usage) - usedShare(a.usage));
  return most
    ? `${subnets.length}, the fullest is ${most.subnetId} with ${percent(usedShare(most.usage))}`
    : 'there is none';
}
