// The engines that ask for addresses, and what they were told.
//
//   E1. Of one MAC an engine asks one thing at a time. What it has no answer to it asks again, at the next server, in a
//       way that finds what became of the first.
//   E2. Known is what was acknowledged last; after a request of unknown outcome nothing is, until the next answer.

import { formatIpv4, type Ipv4, parseCidr } from '@leasehold/proto/values';
import type { Call } from '@leasehold/server/app/context';
import type { ReleaseCommand } from '@leasehold/server/app/release';
import type { ReserveCommand } from '@leasehold/server/app/reserve';
import type { Result } from '@leasehold/server/domain/errors';
import type { HostId, NetworkId, ReservationId, SubnetId } from '@leasehold/server/domain/ids';
import type { RequestKey } from '@leasehold/server/domain/slot';
import { OutcomeUnknownError, StoreUnavailableError } from '@leasehold/server/ports/store';
import type { UseCases } from '@leasehold/server/transport/ipam-service';
import { releaseCommand, reserveCommand, subnetSettings } from '../simulation/commands.js';
import { Machine } from './node.js';
import type { NetworkSetup, Request, Setup } from './schedule.js';
import type { ServerNode } from './server-node.js';
import type { Surroundings } from './surroundings.js';

/** What an engine knows of a MAC. */
export type Known =
  | { readonly kind: 'free' }
  | { readonly kind: 'held'; readonly address: Ipv4; readonly reservationId: ReservationId }
  | { readonly kind: 'unknown' };

/** Told of what was acknowledged. */
export interface Promises {
  reserved(networkId: NetworkId, mac: string, address: Ipv4, reservationId: ReservationId, created: boolean): void;
  /** A release is about to be asked for: from now on the reservation may end. */
  releasing(networkId: NetworkId, mac: string, reservationId: ReservationId): void;
  released(reservationId: ReservationId): void;
  /** What it is called from now on; undefined: a change of it is about to be asked for. */
  named(reservationId: ReservationId, hostname: string | undefined): void;
  /** An attempt to call it so was not answered: it may be carried out at any time. */
  mayBeNamed(reservationId: ReservationId, hostname: string): void;
  /** Every answer to this request said that nothing was done. */
  notDone(request: RequestKey): void;
}

/** For runs in which nobody looks whether promises are kept. */
export const NO_PROMISES: Promises = {
  reserved: () => undefined,
  releasing: () => undefined,
  released: () => undefined,
  named: () => undefined,
  mayBeNamed: () => undefined,
  notDone: () => undefined,
};

/** The machines whose vNICs the MACs are. */
export interface GuestPower {
  /** It has its reservation. */
  start(networkId: string, mac: string): void;
  /** It is off when this returns. */
  stop(networkId: string, mac: string): void;
  /** Nobody says what became of it. */
  leave(networkId: string, mac: string): void;
}

const PATIENCE_MS = 25_000;
const AGAIN_MS = 400;
const ATTEMPTS = 8;

type Answer<T> = { readonly kind: 'answer'; readonly result: Result<T> } | { readonly kind: 'unknown' | 'not-done' };

/** The engines. */
export class Engine {
  readonly #around: Surroundings;
  readonly #setup: Setup;
  readonly #servers: readonly ServerNode[];
  readonly #promises: Promises;
  readonly #power: GuestPower | undefined;
  readonly #machine: Machine;
  readonly #known = new Map<string, Known>();
  readonly #busy = new Set<string>();
  /** The releases that were answered. */
  readonly #releases: ReleaseCommand[] = [];
  /** The reservations that requests with an id made. */
  readonly #answered: { readonly command: ReserveCommand; readonly reservationId: ReservationId }[] = [];
  #asked = 0;

  constructor(
    around: Surroundings,
    setup: Setup,
    servers: readonly ServerNode[],
    promises: Promises,
    power: GuestPower | undefined,
  ) {
    this.#around = around;
    this.#setup = setup;
    this.#servers = servers;
    this.#promises = promises;
    this.#power = power;
    this.#machine = new Machine(around.world, 'engine', 0);
  }

  /** Makes the networks. */
  async prepare(): Promise<void> {
    for (const network of this.#setup.networks) {
      await this.#createNetwork(0, network);
      await this.#createSubnet(0, network);
    }
  }

  /** Asks for what a schedule says. */
  ask(request: Request): void {
    const network = 'network' in request ? this.#setup.networks[request.network] : undefined;
    switch (request.kind) {
      case 'reserve':
        if (network) {
          const index = request.isNew ? this.#next(network, request.mac, 'free') : request.mac;
          void this.#ofMac(network, index, (mac) => this.#reserve(network, mac, request));
        }
        return;
      case 'release':
        if (network) {
          const index = this.#next(network, request.mac, 'held');
          void this.#ofMac(network, index, (mac) => this.#release(network, mac, request));
        }
        return;
      case 'rename':
        if (network) {
          const index = this.#next(network, request.mac, 'held');
          void this.#ofMac(network, index, (mac) => this.#rename(network, mac, request));
        }
        return;
      case 'count':
        if (network) {
          const { dhcpServerCount } = request;
          void this.#ask(request.via, `count ${network.name} ${dhcpServerCount}`, (cases, call) =>
            cases.networks.update(id(network), { dhcpServerCount }, '', call),
          );
        }
        return;
      case 'subnet':
        if (network) void this.#changeSubnet(network, request);
        return;
      case 'host':
        void this.#ask(request.via, `host ${request.host} ${JSON.stringify(request.patch)}`, (cases, call) =>
          cases.hosts.update(request.host as HostId, request.patch, '', call),
        );
        return;
      case 'delete-host':
        void this.#ask(request.via, `delete-host ${request.host}`, (cases, call) =>
          cases.hosts.delete(request.host as HostId, '', call),
        );
        return;
      case 'fence':
        void this.#ask(request.via, `fence ${request.host}`, (cases, call) =>
          cases.hosts.fence(request.host as HostId, 'it burns', call),
        );
        return;
      case 'network':
        if (network) void this.#changeNetwork(network, request);
        return;
      case 'repeat':
        void this.#repeat(request);
        return;
      case 'repeat-release':
        if (network) void this.#repeatRelease(network, request);
        return;
      case 'bad':
        if (network) void this.#askWrongly(network, request);
        return;
    }
  }

  /** S11: bad input is refused. */
  async #askWrongly(
    network: NetworkSetup,
    { via, mistake }: Extract<Request, { readonly kind: 'bad' }>,
  ): Promise<void> {
    const subnetId = network.name as SubnetId;
    const far = addressAt(network, 1_000);
    const patch =
      mistake === 'short-lease' ? { leaseTimeS: 1 } : { excludedRanges: [{ first: addressAt(network, 1), last: far }] };
    const answer =
      mistake === 'far-address'
        ? await this.#ask(via, 'bad address', (cases, call) =>
            cases.reserve.reserve(reserveCommand(network.name, network.macs[0] ?? '', formatIpv4(far)), call),
          )
        : await this.#ask(via, `bad ${mistake}`, (cases, call) =>
            cases.subnets.update(subnetId, { networkId: undefined, patch, etag: '' }, call),
          );
    if (answer.kind === 'answer' && answer.result.ok && mistake !== 'far-address') {
      this.#around.report('S11', `${mistake} was taken`);
    }
  }

  /** The next MAC of which this is known, from one on; that one if there is none. */
  #next({ name, macs }: NetworkSetup, from: number, kind: Known['kind']): number {
    for (let i = 0; i < macs.length; i++) {
      const index = (from + i) % macs.length;
      const key = `${name} ${macs[index]}`;
      if (!this.#busy.has(key) && (this.#known.get(key)?.kind ?? 'free') === kind) return index;
    }
    return from;
  }

  async #ofMac(network: NetworkSetup, index: number, work: (mac: string) => Promise<void>): Promise<void> {
    const mac = network.macs[index];
    const key = `${network.name} ${mac}`;
    if (mac === undefined || this.#busy.has(key)) return;
    this.#busy.add(key);
    await work(mac);
    this.#busy.delete(key);
  }

  async #reserve(
    network: NetworkSetup,
    mac: string,
    request: Extract<Request, { readonly kind: 'reserve' }>,
  ): Promise<void> {
    const key = `${network.name} ${mac}`;
    const before = this.#known.get(key) ?? { kind: 'free' };
    // Another address than the one it has would be refused.
    const address = before.kind === 'free' && request.address ? addressOf(network, request.address) : undefined;
    const requestKey = request.hasRequestId ? this.#newRequest('ReserveAddress') : undefined;
    const command = { ...reserveCommand(network.name, mac, address), request: requestKey };
    if (before.kind !== 'held') this.#known.set(key, { kind: 'unknown' });
    const what = `reserve ${network.name} ${mac}${address ? ` ${address}` : ''}`;
    const reserve = (via: number) => this.#ask(via, what, (cases, call) => cases.reserve.reserve(command, call));
    const twin = request.isTwice ? reserve(request.via + 1) : undefined;
    const answer = await reserve(request.via);
    const other = await twin;
    if (twin && (answer.kind !== 'answer' || !answer.result.ok || other?.kind !== 'answer' || !other.result.ok)) {
      // What became of the one that was not answered is found by the next request.
      return;
    }
    if (answer.kind !== 'answer' || !answer.result.ok) {
      if (answer.wasUnknown) return;
      // Where it is not known whether the MAC has one, that may have been found.
      if (requestKey && before.kind !== 'unknown') this.#promises.notDone(requestKey);
      if (before.kind === 'free') this.#known.set(key, before);
      return;
    }
    const { tenure, created } = answer.result.value;
    if (!('state' in tenure) || tenure.state !== 'reserved') return;
    this.#known.set(key, { kind: 'held', address: tenure.address, reservationId: tenure.reservationId });
    // A tenure remembers one request; one that found it may not be that.
    if (requestKey && created) this.#answered.push({ command, reservationId: tenure.reservationId });
    this.#promises.reserved(id(network), mac, tenure.address, tenure.reservationId, created);
    this.#power?.start(network.name, mac);
    if (other?.kind !== 'answer' || !other.result.ok) return;
    const { value } = other.result;
    this.#promises.reserved(id(network), mac, value.tenure.address, value.tenure.reservationId, false);
    if (created && value.created) this.#around.report('S3', `${what} was made twice`);
  }

  async #release(
    network: NetworkSetup,
    mac: string,
    request: Extract<Request, { readonly kind: 'release' }>,
  ): Promise<void> {
    const key = `${network.name} ${mac}`;
    const known = this.#known.get(key);
    if (known?.kind !== 'held') return;
    const { address, reservationId } = known;
    const byAddress = releaseCommand(network.name, formatIpv4(address));
    const { by, guestStopped } = request;
    const command = {
      ...byAddress,
      guestStopped,
      ...(by === 'id' && { key: { kind: 'id', reservationId } as const }),
      ...(by === 'guarded-address' && { reservationId }),
      ...(by === 'request' && { request: this.#newRequest('ReleaseAddress') }),
    };
    this.#known.set(key, { kind: 'unknown' });
    this.#promises.releasing(id(network), mac, reservationId);
    if (guestStopped) this.#power?.stop(network.name, mac);
    else this.#power?.leave(network.name, mac);
    const what = `release ${network.name} ${mac} ${formatIpv4(address)}${guestStopped ? ' stopped' : ''}`;
    const answer = await this.#ask(request.via, what, (cases, call) => cases.release.release(command, call));
    if (answer.kind !== 'answer' || !answer.result.ok) return;
    this.#releases.push(command);
    this.#promises.released(reservationId);
    this.#known.set(key, { kind: 'free' });
  }

  async #rename(
    network: NetworkSetup,
    mac: string,
    { via, hostname }: Extract<Request, { readonly kind: 'rename' }>,
  ): Promise<void> {
    const known = this.#known.get(`${network.name} ${mac}`);
    if (known?.kind !== 'held') return;
    const { reservationId } = known;
    this.#promises.named(reservationId, undefined);
    const what = `rename ${network.name} ${mac} ${formatIpv4(known.address)} ${hostname}`;
    const answer = await this.#ask(via, what, (cases, call) =>
      cases.reservations.update(
        { kind: 'id', reservationId },
        { hostname },
        { reservationId: undefined, etag: '' },
        call,
      ),
    );
    if (answer.wasUnknown) this.#promises.mayBeNamed(reservationId, hostname);
    if (answer.kind === 'answer' && answer.result.ok) this.#promises.named(reservationId, hostname);
  }

  async #createNetwork(server: number, network: NetworkSetup): Promise<void> {
    const { dhcpServerCount } = network;
    const settings = { displayName: '', labels: {}, dhcpServerCount, ipamEnabled: true };
    await this.#ask(server, 'network', (cases, call) => cases.networks.create(id(network), settings, call));
  }

  async #changeNetwork(
    network: NetworkSetup,
    { via, change }: Extract<Request, { readonly kind: 'network' }>,
  ): Promise<void> {
    if (change === 'create') return this.#createNetwork(via, network);
    await this.#ask(via, `delete network ${network.name}`, (cases, call) =>
      cases.networks.delete(id(network), '', call),
    );
  }

  /** Whoever repeats a request is told what it made then, whatever became of that. */
  async #repeat({ via, network: index, nth }: Extract<Request, { readonly nth: number }>): Promise<void> {
    const network = this.#setup.networks[index];
    const answered = this.#answered.filter(({ command }) => command.subnetId === network?.name);
    const chosen = answered[nth % answered.length];
    if (!network || !chosen) return;
    const { command, reservationId } = chosen;
    await this.#ofMac(network, network.macs.indexOf(command.mac), async (mac) => {
      const what = `repeat ${network.name} ${mac} ${command.request?.id}`;
      const answer = await this.#ask(via, what, (cases, call) => cases.reserve.reserve(command, call));
      if (answer.kind !== 'answer') return;
      const { result } = answer;
      const made = result.ok ? `${result.value.tenure.reservationId}` : result.error.kind;
      if (made !== reservationId || (result.ok && result.value.created)) {
        this.#around.report('S3', `${what} made ${reservationId}, and is answered ${made}`);
      }
    });
  }

  /** What was released stays so, and nobody else loses anything, whatever the answer is. */
  async #repeatRelease(
    { name }: NetworkSetup,
    { via, nth }: Extract<Request, { readonly nth: number }>,
  ): Promise<void> {
    const chosen = this.#releases[nth % this.#releases.length];
    if (chosen) await this.#ask(via, `repeat release ${name}`, (cases, call) => cases.release.release(chosen, call));
  }

  async #changeSubnet(
    network: NetworkSetup,
    { via, change }: Extract<Request, { readonly kind: 'subnet' }>,
  ): Promise<void> {
    const subnetId = network.name as SubnetId;
    const first = addressAt(network, 5);
    if (change === 'create') return this.#createSubnet(via, network);
    if (change === 'delete') {
      await this.#ask(via, `delete subnet ${network.name}`, (cases, call) => cases.subnets.delete(subnetId, '', call));
      return;
    }
    const patch = {
      'lease-time': { leaseTimeS: network.leaseTimeS + 30 },
      'least-lease-time': { leaseTimeS: 120 },
      exclude: { excludedRanges: [{ first, last: first }] },
      include: { excludedRanges: [] },
      gateway: { gateway: addressAt(network, 1) },
      'no-gateway': { gateway: undefined },
    }[change];
    await this.#ask(via, `subnet ${network.name} ${change}`, (cases, call) =>
      cases.subnets.update(subnetId, { networkId: undefined, patch: patch as object, etag: '' }, call),
    );
  }

  async #createSubnet(server: number, network: NetworkSetup): Promise<void> {
    const { leaseTimeS, reuseDelayS, cidr, name } = network;
    const settings = subnetSettings(cidr, { leaseTimeS, reuseDelayS });
    await this.#ask(server, `create subnet ${name}`, (cases, call) =>
      cases.subnets.create(id(network), name as SubnetId, settings, call),
    );
  }

  #newRequest(rpc: RequestKey['rpc']): RequestKey {
    return { caller: 'engine', rpc, id: `request-${++this.#asked}`, contentHash: 'x' };
  }

  /** Asks one server after the other until one says yes or no. */
  async #ask<T>(
    first: number,
    what: string,
    ask: (cases: UseCases, call: Call) => Promise<Result<T>>,
  ): Promise<Answer<T> & { readonly wasUnknown: boolean }> {
    let wasUnknown = false;
    for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
      const server = this.#servers[(first + attempt) % this.#servers.length];
      if (!server) break;
      const answer = await this.#askOnce(server, what, ask);
      const isRefusedHere = answer.kind === 'answer' && !answer.result.ok && answer.result.error.kind === 'no-holder';
      const outcome = answer.kind === 'answer' ? (answer.result.ok ? 'ok' : answer.result.error.kind) : answer.kind;
      this.#around.trace.say('engine', `${what} at ${server.name}: ${outcome}`);
      this.#around.trace.count(`engine: ${what.split(' ')[0]} ${outcome}`);
      if (answer.kind === 'answer' && !isRefusedHere) return { ...answer, wasUnknown };
      if (answer.kind === 'unknown') wasUnknown = true;
      await new Promise<void>((resolve) => void this.#around.world.after(AGAIN_MS, resolve));
    }
    return { kind: wasUnknown ? 'unknown' : 'not-done', wasUnknown };
  }

  #askOnce<T>(
    server: ServerNode,
    what: string,
    ask: (cases: UseCases, call: Call) => Promise<Result<T>>,
  ): Promise<Answer<T>> {
    const { world, sessions, report } = this.#around;
    const { network } = sessions;
    return new Promise((resolve) => {
      world.after(PATIENCE_MS, () => resolve({ kind: 'unknown' }));
      const { process, plane } = server;
      if (!process || !plane) {
        world.after(1, () => resolve({ kind: 'not-done' }));
        return;
      }
      process.onKill(() => world.after(1, () => resolve({ kind: 'unknown' })));
      const reply = (answer: Answer<T>) => network.send(server.machine, this.#machine, () => resolve(answer));
      const call: Call = { caller: 'engine', signal: new AbortController().signal, stale: () => undefined };
      const run = () => {
        ask(plane.useCases, call).then(
          (result) => process.isAlive && reply({ kind: 'answer', result }),
          (error: unknown) => {
            if (!process.isAlive) return;
            if (error instanceof OutcomeUnknownError) reply({ kind: 'unknown' });
            else if (error instanceof StoreUnavailableError) reply({ kind: 'not-done' });
            else
              report(
                'defect',
                `${server.name} answers ${what} with ${error instanceof Error ? error.stack : String(error)}`,
              );
          },
        );
      };
      network.send(this.#machine, server.machine, () => process.arrive(run));
    });
  }
}

function id({ name }: NetworkSetup): NetworkId {
  return name as NetworkId;
}

function addressAt({ cidr }: NetworkSetup, n: number): Ipv4 {
  const parsed = parseCidr(cidr);
  if (!parsed.ok) throw new Error(parsed.problem);
  return (parsed.value.base + n) as Ipv4;
}

function addressOf(network: NetworkSetup, n: number): string {
  return formatIpv4(addressAt(network, n));
}
