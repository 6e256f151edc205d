// DHCP service of one network by a dnsmasq of its own.
//
//   Q1. What runs and what it was told follow what is wanted (link, table, authority) by one reconciliation at a time.
//   Q2. flush() resolves with true only after dnsmasq said that it read what the table held when flush() was called; or
//       where there is no authority, and nobody is answered.
//   Q3. Without authority nothing runs. Its end is the keeper's business: this process may be frozen by then. Nor does
//       anything run for longer than UNATTENDED_MS without word of this process, or without having been told everything.
//   Q4. Trouble is a state with one reason and is tried again; nothing here throws.
//   Q5. What an earlier agent left is taken over if its arguments are the wanted ones and its service address is where it was,
//       and ended otherwise.

import { type Clock, delay, type Timer } from '@leasehold/program/clock';
import type { Log } from '@leasehold/program/log';
import { formatIpv4, type Ipv4 } from '@leasehold/proto/values';
import type { NetworkTable } from '../../domain/table.js';
import type { AnswerGate, DhcpServer, Link, ServerState } from '../dhcp-backend.js';
import { CHECK_MS, isSamePlace, NO_INTERFACE, type Place, PlacedAddress } from '../host/placed-address.js';
import type { ServiceAddresses } from '../host/service-addresses.js';
import type { Ghost, GhostReleases } from './ghosts.js';
import { explainEnd, readLine } from './lines.js';
import type { Process, Processes } from './processes.js';
import { FILES, renderArguments } from './render.js';
import type { ServerFiles } from './server-files.js';
import { difference, ghostsBetween, ghostsIn, type Told, tell } from './told.js';

/** What a server needs of its surroundings. */
export interface DnsmasqPorts {
  readonly clock: Clock;
  readonly log: Log;
  readonly processes: Processes;
  readonly ghosts: GhostReleases;
  readonly serviceAddresses: Omit<ServiceAddresses, 'list'>;
  /** Prepares the host's settings for an interface; what may keep guests from being heard. */
  readonly prepareInterface: (name: string) => string | undefined;
  /** The first address of an interface, which is what dnsmasq answers from. */
  readonly firstAddressOf: (name: string) => Ipv4 | undefined;
}

/** Where a server's files are. */
export interface DnsmasqPlace {
  /** Names the process and its directory. */
  readonly key: string;
  /** Absolute. */
  readonly directory: string;
  readonly files: ServerFiles;
}

/** How soon what failed is tried again. */
export const RETRY_MS = 1_000;

/** How long changes that need a SIGHUP wait for others. */
export const COALESCE_MS = 25;

/** How long dnsmasq may take to read its files: 0.4 s were measured with the most that is allowed. */
export const READ_PATIENCE_MS = 10_000;

/**
 * How long dnsmasq answers without its agent, within authority. It hears of no removal by then; an address rests
 * longer than this (30 s and the shortest lease time of 120 s) before another MAC may have it.
 */
export const UNATTENDED_MS = 120_000;

/** From here on dnsmasq is slow enough to say so. */
export const WARN_ENTRIES = 3_000;

/** Beyond, a few hundred messages of unknown MACs a second stop all service: none is begun, and nothing acknowledged. */
export const MAX_ENTRIES = 5_000;

interface Running {
  readonly process: Process;
  /** What it holds; undefined: what an earlier agent told it. */
  told: Told | undefined;
  /** It must be told everything: something of it may have failed. */
  isDoubtful: boolean;
  /** Of the table it was told of. */
  digest: string;
}

/** See the top of the file. */
export class DnsmasqServer implements DhcpServer {
  readonly #table: NetworkTable;
  readonly #gate: AnswerGate;
  readonly #ports: DnsmasqPorts;
  readonly #place: DnsmasqPlace;
  readonly #address: PlacedAddress;
  readonly #listeners: (() => void)[] = [];
  readonly #awaited = new Map<string, (happened: boolean) => void>();
  #state: ServerState = { kind: 'closed', reason: NO_INTERFACE };
  #link: Link | undefined;
  #ending: 'close' | 'suspend' | undefined;
  #running: Running | undefined;
  /** Whether the keeper was asked what runs. */
  #hasLooked = false;
  /** Why it ended last, by itself. */
  #end = '';
  #complaint: string | undefined;
  #hasFailed = false;
  #hasWarned = false;
  #warned: string | undefined;
  /** Names of additions are never used again, also not by the next agent: what is said of an old one must not count. */
  readonly #generation: string;
  #additions = 0;
  #last: Promise<void> = Promise.resolve();
  #next: Promise<void> | undefined;
  #timer: Timer | undefined;

  constructor(table: NetworkTable, gate: AnswerGate, place: DnsmasqPlace, ports: DnsmasqPorts) {
    this.#table = table;
    this.#gate = gate;
    this.#place = place;
    this.#ports = ports;
    this.#generation = `a${Math.round(ports.clock.now())}`;
    this.#address = new PlacedAddress(ports.serviceAddresses, ports.log);
  }

  attach(link: Link | undefined): void {
    this.#link = link;
    void this.#reconcile();
  }

  changed(): void {
    this.#hold();
    const isWanted = typeof this.#wanted() !== 'string' && this.#isAllowed();
    if (this.#running && isWanted && this.#running.digest === this.#digest()) return;
    if (!this.#running && !isWanted) return;
    void this.#reconcile();
  }

  async flush(): Promise<boolean> {
    await this.#reconcile();
    return this.#state.kind === 'open';
  }

  state(): ServerState {
    return this.#state;
  }

  onStateChange(listener: () => void): void {
    this.#listeners.push(listener);
  }

  async close(): Promise<void> {
    this.#ending = 'close';
    await this.#reconcile();
  }

  async suspend(): Promise<void> {
    this.#ending ??= 'suspend';
    await this.#reconcile();
  }

  /** Resolves when what was wanted when it was called is there, or could not be had. */
  #reconcile(): Promise<void> {
    // One that has not begun yet does for all that ask for it.
    this.#next ??= this.#last.then(() => {
      this.#next = undefined;
      this.#last = this.#step().catch((error: unknown) => {
        this.#fail(error instanceof Error ? error.message : String(error));
      });
      return this.#last;
    });
    return this.#next;
  }

  async #step(): Promise<void> {
    this.#timer?.cancel();
    if (this.#ending === 'suspend') return this.#setState({ kind: 'closed', reason: 'The agent is stopping' });
    const wanted = this.#wanted();
    if (typeof wanted === 'string' || (this.#address.place && !isSamePlace(this.#address.place, wanted))) {
      await this.#stop();
      await this.#address.leave();
    }
    if (typeof wanted === 'string') {
      if (this.#ending === 'close') await this.#place.files.remove();
      return this.#setState({ kind: 'closed', reason: wanted });
    }
    const trouble = await this.#serve(wanted);
    if (trouble !== undefined) return this.#fail(trouble);
    this.#hasFailed = false;
    this.#setState({ kind: 'open' });
    this.#again(CHECK_MS);
  }

  #wanted(): Place | string {
    if (this.#ending) return 'Service of the network has ended';
    if (!this.#link) return NO_INTERFACE;
    const { serviceAddress } = this.#table;
    if (serviceAddress === undefined) return 'Nothing is assigned yet';
    return { link: this.#link, address: serviceAddress };
  }

  #isAllowed(): boolean {
    return this.#gate.untilMs() > this.#ports.clock.now();
  }

  /** Brings everything about; what is wrong, if anything. */
  async #serve(place: Place): Promise<string | undefined> {
    // Before the address is put: where that is missing, what is found listens on an interface that is no more.
    const found = await this.#look();
    if (found !== undefined) return found;
    const put = await this.#address.put(place, () => this.#stop(), this.#running !== undefined);
    if (put !== undefined) return put;
    const first = this.#ports.firstAddressOf(place.link.name);
    if (first !== place.address) {
      await this.#stop();
      const { name } = place.link;
      if (first === undefined) return `Service address ${formatIpv4(place.address)} is not on ${name}`;
      return `dnsmasq would answer from ${formatIpv4(first)}, which comes first on ${name}: remove it`;
    }
    this.#warn(place.link.name);
    const told = tell(this.#table);
    const args = told.ok ? this.#arguments(told.value, place) : told;
    const refusal = args.ok ? this.#refusal() : args.problem;
    if (!this.#isAllowed()) {
      await this.#stop();
      // Ready to answer as soon as there is authority, which is what the state is about.
      return refusal;
    }
    const isRight = args.ok && isSame(this.#running?.process.args ?? args.value, args.value);
    if (this.#running && !isRight && refusal !== undefined) {
      // None would come after it: whoever is served is served on, for as long as without this process.
      this.#running.isDoubtful = true;
      this.#hold();
      return refusal;
    }
    if (!isRight) await this.#stop();
    if (!args.ok) return args.problem;
    if (!this.#running) return refusal ?? this.#start(args.value, place);
    // Whoever is served is served on, and rightly.
    return (await this.#update(this.#running, place)) ?? refusal;
  }

  #refusal(): string | undefined {
    const { size } = this.#table;
    if (size <= MAX_ENTRIES) return undefined;
    return `${size} reservations, dnsmasq serves up to ${MAX_ENTRIES}: use --backend builtin`;
  }

  #arguments({ tags }: Told, { link, address }: Place): ReturnType<typeof renderArguments> {
    return renderArguments({
      interfaceName: link.name,
      serviceAddress: address,
      subnets: this.#table.subnets,
      directory: this.#place.directory,
      tagsFile: tags?.name,
    });
  }

  #warn(interfaceName: string): void {
    const warning = this.#ports.prepareInterface(interfaceName);
    if (warning !== undefined && warning !== this.#warned) {
      this.#ports.log.warn(warning, { interface: interfaceName });
    }
    this.#warned = warning;
    const { size } = this.#table;
    if (size > WARN_ENTRIES && !this.#hasWarned) {
      const fields = { entries: size, refusedOver: MAX_ENTRIES };
      this.#ports.log.warn('More reservations than dnsmasq serves well: use --backend builtin', fields);
    }
    this.#hasWarned = size > WARN_ENTRIES;
  }

  /** Finds what an earlier agent left running. */
  async #look(): Promise<string | undefined> {
    if (this.#hasLooked) return undefined;
    const found = await this.#ports.processes.find(this.#place.key, this.#events());
    if (!found.ok) return found.problem;
    this.#hasLooked = true;
    if (!found.value) return undefined;
    this.#running = { process: found.value, told: undefined, isDoubtful: true, digest: '' };
    this.#ports.log.info('dnsmasq of an earlier run is found', { pid: found.value.pid });
    return undefined;
  }

  async #start(args: readonly string[], place: Place): Promise<string | undefined> {
    const told = tell(this.#table);
    if (!told.ok) return told.problem;
    // The table may have changed since the arguments were made.
    const wanted = this.#arguments(told.value, place);
    if (!wanted.ok || !isSame(wanted.value, args)) return this.#serve(place);
    const digest = this.#digest();
    // What failed before stays the reason until it is better.
    if (!this.#hasFailed) this.#setState({ kind: 'closed', reason: 'dnsmasq is starting' });
    await this.#place.files.replace(told.value);
    // It remembers nothing.
    await this.#place.files.settle();
    this.#end = '';
    this.#complaint = undefined;
    // It may have ended meanwhile.
    if (!this.#isAllowed()) return undefined;
    const isRead = this.#said(this.#path(FILES.options));
    const started = await this.#ports.processes.start(this.#place.key, args, this.#deadline(), this.#events());
    if (!started.ok) return this.#end === '' ? started.problem : explainEnd(this.#end, place.link.name);
    this.#running = { process: started.value, told: told.value, isDoubtful: false, digest };
    // Authority may have changed since it was asked for.
    this.#hold();
    if (!(await isRead)) return this.#giveUp(place);
    return this.#complaint;
  }

  async #update(running: Running, place: Place): Promise<string | undefined> {
    const trouble = await this.#tellAnew(running, place);
    this.#hold();
    return trouble;
  }

  async #tellAnew(running: Running, place: Place): Promise<string | undefined> {
    if (this.#isCurrent(running)) return undefined;
    const isSure = this.#isSure(running);
    let told = tell(this.#table);
    if (told.ok && running.told && isSure) {
      const digest = this.#digest();
      const change = difference(running.told, told.value);
      if (change.kind === 'added' && !(await this.#add(change.lines))) return this.#giveUp(place);
      if (change.kind !== 'replaced') {
        if (this.#running === running) Object.assign(running, { told: told.value, digest });
        return this.#running === running ? this.#complaint : this.#giveUp(place);
      }
      await delay(this.#ports.clock, COALESCE_MS);
      told = tell(this.#table);
      // What came meanwhile may need another process.
      if (told.ok && told.value.tags?.name !== running.told?.tags?.name) return this.#serve(place);
    }
    return told.ok ? this.#replace(running, told.value, place) : told.problem;
  }

  async #replace(running: Running, told: Told, place: Place): Promise<string | undefined> {
    const digest = this.#digest();
    const { files } = this.#place;
    running.isDoubtful = true;
    const { told: before } = running;
    const lines = await files.setAside();
    const ghosts = before ? ghostsBetween(before, told) : ghostsIn(lines, told);
    await files.replace(told);
    this.#complaint = undefined;
    const isRead = this.#said(this.#path(FILES.options));
    running.process.reread();
    if (!(await isRead) || this.#running !== running) return this.#giveUp(place);
    // Now the old MACs are unknown: none of them can make its lease anew.
    if (ghosts.length > 0 && !(await this.#release(running, ghosts, place))) return this.#giveUp(place);
    await files.settle();
    if (this.#running === running) Object.assign(running, { told, digest, isDoubtful: false });
    return this.#running === running ? this.#complaint : this.#giveUp(place);
  }

  /** Ends leases, and sees that dnsmasq has done so. */
  async #release({ process }: Running, ghosts: readonly Ghost[], place: Place): Promise<boolean> {
    if (!(await this.#ports.ghosts.release(process.pid, place, ghosts))) {
      this.#ports.log.warn('Old leases of dnsmasq could not be ended for sure, starting it anew', {
        count: ghosts.length,
      });
      await this.#stop();
      return false;
    }
    // It took the last one from its socket; it reads this when it is done with it.
    return this.#add(['#']);
  }

  /** Has dnsmasq read a file of these lines; false when it does not. */
  async #add(lines: readonly string[]): Promise<boolean> {
    const name = `${this.#generation}-${this.#additions++}`;
    const isRead = this.#said(`${this.#path(FILES.additions)}/${name}`);
    await this.#place.files.add(name, lines.map((line) => `${line}\n`).join(''));
    return isRead;
  }

  /** Resolves when dnsmasq says that it read a file; with false when it ends or keeps silent. */
  #said(path: string): Promise<boolean> {
    return new Promise((resolve) => {
      const timer = this.#ports.clock.after(READ_PATIENCE_MS, () => settled(false));
      const settled = (happened: boolean) => {
        timer.cancel();
        this.#awaited.delete(path);
        resolve(happened);
      };
      this.#awaited.set(path, settled);
    });
  }

  #events(): { onLine(line: string): void; onExit(reason: string): void } {
    return {
      onLine: (line) => this.#heard(line),
      onExit: (reason) => {
        this.#running = undefined;
        this.#end = reason;
        for (const settle of [...this.#awaited.values()]) settle(false);
        // Expected when authority ends, which the reconciliation sees.
        if (!this.#isAllowed() || this.#ending || !this.#link) {
          this.#again(0);
          return;
        }
        // Not at every retry.
        if (!this.#hasFailed) this.#ports.log.error('dnsmasq ended', { reason });
        this.#fail(explainEnd(reason, this.#link.name));
      },
    };
  }

  #heard(line: string): void {
    const said = readLine(line);
    this.#ports.log.debug('dnsmasq says', { line });
    if (said.kind === 'read') this.#awaited.get(said.path)?.(true);
    if (said.kind === 'ghost') this.#exorcise(said.ghost);
    if (said.kind !== 'complaint') return;
    this.#ports.log.error('dnsmasq refuses what it was told', { problem: said.text });
    this.#complaint = `dnsmasq refuses what it was told: ${said.text}`;
    this.#again(RETRY_MS);
  }

  /** A ghost that was missed: the MAC that has the address now asks again in a moment. */
  #exorcise(ghost: Ghost): void {
    const place = this.#address.place;
    if (!this.#running || !place || this.#table.findByMac(ghost.mac)?.entry.address === ghost.address) return;
    void this.#ports.ghosts.release(this.#running.process.pid, place, [ghost]);
  }

  /** What it was not told it may answer wrongly: that is never prolonged. */
  #hold(): void {
    const running = this.#running;
    if (!running || this.#ending) return;
    if (this.#isCurrent(running)) running.process.hold(this.#deadline());
    else running.process.limit(this.#deadline());
  }

  #isCurrent(running: Running): boolean {
    return this.#isSure(running) && running.digest === this.#digest();
  }

  #isSure({ isDoubtful }: Running): boolean {
    return !isDoubtful && this.#complaint === undefined;
  }

  #deadline(): number {
    // Not -Infinity, which JSON has no word for.
    return Math.max(0, Math.min(this.#gate.untilMs(), this.#ports.clock.now() + UNATTENDED_MS));
  }

  async #stop(): Promise<void> {
    await this.#look();
    const running = this.#running;
    this.#running = undefined;
    await running?.process.end();
  }

  /** It ended, or does not say what it must: then what guests get is not known, and it is started anew. */
  async #giveUp({ link }: Place): Promise<string> {
    const end = this.#end;
    await this.#stop();
    if (end !== '') return explainEnd(end, link.name);
    return 'dnsmasq does not say that it read its files: starting it anew';
  }

  #fail(reason: string): void {
    this.#hasFailed = true;
    this.#setState({ kind: 'closed', reason });
    this.#again(RETRY_MS);
  }

  #again(delayMs: number): void {
    this.#timer?.cancel();
    if (this.#ending) return;
    this.#timer = this.#ports.clock.after(delayMs, () => void this.#reconcile());
  }

  #setState(state: ServerState): void {
    const before = this.#state;
    this.#state = state;
    if (reasonOf(before) === reasonOf(state)) return;
    for (const listener of this.#listeners) listener();
  }

  #digest(): string {
    return this.#table.digest().toString('hex');
  }

  #path(name: string): string {
    return `${this.#place.directory}/${name}`;
  }
}

function isSame(a: readonly string[], b: readonly string[]): boolean {
  return a.length === b.length && a.every((word, i) => word === b[i]);
}

function reasonOf(state: ServerState): string {
  return state.kind === 'closed' ? state.reason : '';
}
