// Random faults against the whole installation in virtual time: whatever is killed, cut, rebooted or restarted in
// whatever order, no address is answered for two MACs, nothing acknowledged is lost, and after healing every table
// equals the store. A failing run names its seed; `SEED=n npm test -- test/simulation/faults.test.ts` replays it.
//
// Runs stay below one lease time: the reuse rule of this version (docs/adr/0007) promises no more for hosts that are cut off.

import { formatIpv4 } from '@leasehold/proto/values';
import type { NetworkId } from '@leasehold/server/domain/ids';
import { expect, test } from 'vitest';
import { Installation } from './installation.js';

const HOSTS = ['h1', 'h2', 'h3', 'h4'];
const MACS = Array.from({ length: 12 }, (_, i) => `52:54:00:00:00:${(i + 1).toString(16).padStart(2, '0')}`);
const STEPS = 80;
const SEEDS = process.env['SEED'] ? [Number(process.env['SEED'])] : Array.from({ length: 40 }, (_, i) => i + 1);

/** Numbers from 0 to 1 that depend on the seed alone (mulberry32). */
function numbers(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}

/** One run: what was acknowledged, and how to do the next thing. */
class Run {
  readonly installation: Installation;
  readonly trail: string[] = [];
  readonly #random: () => number;
  /** By MAC: the address it was promised and did not give back. */
  readonly #promised = new Map<string, string>();
  readonly #down = new Set<string>();

  constructor(installation: Installation, random: () => number) {
    this.installation = installation;
    this.#random = random;
  }

  #pick<T>(values: readonly T[]): T {
    return values[Math.floor(this.#random() * values.length)] as T;
  }

  async step(): Promise<void> {
    const steps = [
      this.#reserve,
      this.#reserve,
      this.#reserve,
      this.#release,
      this.#host,
      this.#host,
      this.#server,
      this.#settings,
    ];
    await this.#pick(steps).call(this);
    await this.installation.advance(this.#pick([0, 1, 5, 50, 500, 2_000, 10_000]));
    this.check();
  }

  async #reserve(): Promise<void> {
    if (!this.installation.isUp) return;
    const mac = this.#pick(MACS);
    const result = await this.installation.tryReserve('red-a', mac);
    if (result.ok) this.#promised.set(mac, formatIpv4(result.value.tenure.address));
    this.trail.push(`reserve ${mac}: ${result.ok ? this.#promised.get(mac) : result.error.kind}`);
  }

  async #release(): Promise<void> {
    const [mac, address] = this.#pick([...this.#promised, ['', '']]) ?? ['', ''];
    if (!this.installation.isUp || !mac || !address) return;
    const result = await this.installation.tryRelease('red-a', address);
    expect(result.ok).toBe(true);
    this.#promised.delete(mac);
    this.trail.push(`release ${mac} ${address}`);
  }

  async #host(): Promise<void> {
    const hostId = this.#pick(HOSTS);
    const host = this.installation.host(hostId);
    if (this.#down.delete(hostId)) {
      this.trail.push(`start ${hostId}`);
      return host.start();
    }
    const fault = this.#pick(['kill', 'reboot', 'cut', 'heal', 'heal', 'break', 'unplug', 'plug', 'plug'] as const);
    this.trail.push(`${fault} ${hostId}`);
    if (fault === 'kill') {
      this.#down.add(hostId);
      await host.kill();
    } else if (fault === 'reboot') await host.reboot();
    else if (fault === 'cut') host.wire.cut();
    else if (fault === 'heal') host.wire.heal();
    else if (fault === 'break') host.wire.breakStream();
    else if (fault === 'unplug') host.links.clear();
    else host.links.set('br-red', this.installation.clock.now());
  }

  async #server(): Promise<void> {
    if (this.#random() < 0.5) return;
    this.trail.push(this.installation.isUp ? 'kill server' : 'start server');
    await (this.installation.isUp ? this.installation.killServer() : this.installation.startServer());
  }

  async #settings(): Promise<void> {
    if (!this.installation.isUp) return;
    const hostId = this.#pick(HOSTS);
    const change = this.#pick([{ maintenance: true }, { maintenance: false }, { managed: false }, { managed: true }]);
    if (this.#random() < 0.5) {
      const dhcpServerCount = this.#pick([1, 2, 3]);
      this.trail.push(`count ${dhcpServerCount}`);
      return this.installation.updateNetwork('red', { dhcpServerCount });
    }
    if (!this.installation.disk.hosts.has(hostId as never)) return;
    this.trail.push(`${hostId} ${JSON.stringify(change)}`);
    await this.installation.updateHost(hostId, change);
  }

  /** No address is answered for two MACs, and no MAC that was promised one gets another. */
  check(): void {
    const macOf = new Map<string, string>();
    for (const line of this.installation.answers('red')) {
      const [mac = '', address = ''] = line.split(' ')[1]?.split('=') ?? [];
      expect(macOf.get(address) ?? mac, `${address} is answered for two MACs`).toBe(mac);
      macOf.set(address, mac);
      expect(this.#promised.get(mac) ?? address, `${mac} was promised another address`).toBe(address);
    }
  }

  /** Everything works again: the wanted hosts answer, with exactly what is promised. */
  async healed(): Promise<void> {
    const { installation } = this;
    if (!installation.isUp) await installation.startServer();
    for (const hostId of HOSTS) {
      const host = installation.host(hostId);
      if (this.#down.delete(hostId)) await host.start();
      host.wire.heal();
      if (!host.links.has('br-red')) host.links.set('br-red', installation.clock.now());
    }
    await installation.advance(5_000);
    for (const hostId of HOSTS) await installation.updateHost(hostId, { managed: true, maintenance: false });
    // Long enough for backoffs, for brakes to let go, and for breakers to close.
    await installation.advance(120_000);
    const wanted = installation.disk.networks.get('red' as NetworkId)?.dhcpServerCount ?? 0;
    expect(installation.placements('red').map((line) => line.split(' ')[1])).toEqual(Array(wanted).fill('serving'));
    const promised = [...this.#promised].map(([mac, address]) => `${mac}=${address}`).sort();
    for (const hostId of installation.answering('red')) {
      const answers = installation.host(hostId).answers('red');
      expect(answers.map((line) => line.slice(line.indexOf(' ') + 1)).sort()).toEqual(promised);
    }
    if (promised.length > 0) expect(installation.answering('red')).toHaveLength(wanted);
  }
}

test.each(SEEDS)('seed %s: nobody shares an address, nothing is lost, everything heals', async (seed) => {
  const random = numbers(seed);
  const installation = await Installation.start();
  installation.agentChance = random();
  for (const hostId of HOSTS) await installation.addHost(hostId, ['red']);
  await installation.createNetwork('red', { dhcpServerCount: 2 });
  await installation.createSubnet('red', 'red-a', '10.0.0.0/28');
  const run = new Run(installation, random);
  try {
    for (let step = 0; step < STEPS; step++) await run.step();
    await run.healed();
    expect(installation.isUp).toBe(true);
  } catch (error) {
    throw new Error(`seed ${seed} after:\n${run.trail.join('\n')}`, { cause: error });
  } finally {
    await installation.stop();
  }
});
