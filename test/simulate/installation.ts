// An installation as a schedule makes it: servers on one store, hosts, engines, and what is done to them.

import { createAgent } from '@leasehold/agent/agent';
import { MemoryDisk } from '@leasehold/server/adapters/memory/memory-disk';
import { openMemoryStore } from '@leasehold/server/adapters/memory/memory-store';
import { startControlPlane } from '@leasehold/server/control-plane';
import { Engine, type Promises } from './engine.js';
import type { GuestDeed } from './guest-schedule.js';
import { GuestSide } from './guest-side.js';
import { HostNode, type MakeAgent } from './host-node.js';
import { AuthorityReckoning } from './invariants/authority.js';
import type { Report } from './invariants/store.js';
import { Troubles } from './invariants/troubles.js';
import { Network } from './network.js';
import { Machine } from './node.js';
import { playedWire } from './played-wire.js';
import { withNames } from './roles.js';
import type { Fault, Setup } from './schedule.js';
import { Seeded } from './seeded.js';
import { ServerNode, type StartControlPlane } from './server-node.js';
import { SessionNetwork, type SessionWitness } from './session-network.js';
import type { StoreTrouble } from './store-exchange.js';
import { linkStore } from './store-link.js';
import type { Surroundings } from './surroundings.js';
import { Trace } from './trace.js';
import { Watcher } from './watcher.js';
import { World } from './world.js';

const FLUSH_MS = 2;

/** What stands in for parts of the product. */
export interface Parts {
  readonly startControlPlane?: StartControlPlane;
  readonly makeAgent?: MakeAgent;
}

/** The installation. */
export class Installation {
  readonly world = new World();
  readonly trace = new Trace(this.world);
  readonly disk = new MemoryDisk();
  readonly network: Network;
  readonly servers: readonly ServerNode[];
  readonly hosts: readonly HostNode[];
  readonly engine: Engine;
  /** Of a setup with guests. */
  readonly guests: GuestSide | undefined;
  readonly watcher: Watcher;
  /** Who may answer, by what reached it. */
  readonly authority: AuthorityReckoning;
  /** What is wrong with whom. */
  readonly troubles: Troubles;
  readonly #around: Surroundings;
  readonly #trouble: StoreTrouble = { brokenShare: 0, lateShare: 0 };

  constructor(
    seed: number,
    setup: Setup,
    parts: Parts,
    watching: {
      readonly witness: SessionWitness;
      readonly promises: (disk: MemoryDisk) => Promises;
      readonly report: Report;
    },
  ) {
    const { world, trace, disk } = this;
    const chance = new Seeded(seed);
    const { usualLatencyMs: usualMs, slowShare, slowLatencyMs: slowMs, watchLagMs, authorityS } = setup;
    this.network = new Network(world, chance.of('network'), { usualMs, slowShare, slowMs });
    this.#around = {
      world,
      trace,
      chance: chance.of('nodes'),
      sessions: new SessionNetwork(this.network, watching.witness, setup.isEncoded),
      openStore: setup.isEmbedded
        ? embedded(disk, authorityS)
        : this.#shared(authorityS, watchLagMs, chance.of('watch')),
      report: watching.report,
    };
    this.troubles = new Troubles(world, setup.servers);
    const drifts = chance.of('drift');
    // Of a span a server sees the least, and a host the most.
    const drift = (apart: number) => (setup.isApart ? apart * setup.drift : drifts.between(-setup.drift, setup.drift));
    const start = parts.startControlPlane ?? startControlPlane;
    this.servers = setup.servers.map((name) => new ServerNode(this.#around, name, drift(1), start));
    const guests = setup.hasGuests
      ? new GuestSide({
          ...{ world, disk, trace, setup },
          chance: chance.of('guests'),
          toldSinceMs: () => this.#toldSinceMs(),
          report: watching.report,
        })
      : undefined;
    this.guests = guests;
    this.authority = guests?.rules.authority ?? new AuthorityReckoning();
    const make = parts.makeAgent ?? createAgent;
    const makeAgent: MakeAgent = (ports, config) => {
      const transport = this.authority.watch(config.hostId, config.bootId, ports.clock, ports.transport);
      return make({ ...ports, transport }, config);
    };
    this.hosts = setup.hosts.map(
      (hostId) =>
        new HostNode(this.#around, {
          hostId,
          drift: drift(-1),
          networkIds: setup.networks.map(({ name }) => name),
          servers: setup.servers,
          failureDomain: '',
          wire: guests?.wireOf(hostId) ?? playedWire(),
          makeAgent,
        }),
    );
    this.engine = new Engine(this.#around, setup, this.servers, watching.promises(disk), guests);
    this.watcher = new Watcher(this.#around, this.servers, disk, watching.report);
  }

  #shared(authorityS: number, watchLagMs: number, lags: Seeded): Surroundings['openStore'] {
    const base = openMemoryStore({ disk: this.disk, shared: true, authorityS });
    const place = { network: this.network, machine: new Machine(this.world, 'store', 0), trouble: this.#trouble };
    const lagMs = () => lags.between(watchLagMs / 2, watchLagMs);
    return (process, chance) => {
      // A server that starts reads them anew.
      void base.readSettings();
      return linkStore({ base, place, process, chance, watchLagMs: lagMs });
    };
  }

  /** Starts every server and every host. */
  start(): void {
    for (const server of this.servers) server.start();
    for (const host of this.hosts) host.start();
    void this.engine.prepare();
    this.watcher.start();
  }

  /** Does what goes wrong, and undoes it later. */
  suffer(planned: Fault | GuestDeed): void {
    const fault = 'network' in planned ? planned : withNames(planned, this);
    if (!fault) return;
    this.trace.say('fault', textOf(fault));
    this.trace.count(`fault: ${fault.kind}`);
    const undo = 'network' in fault ? this.guests?.suffer(fault) : this.#begin(fault);
    if (!undo || !('forMs' in fault)) return;
    const over = 'network' in fault ? undefined : this.troubles.begin(fault);
    this.world.after(fault.forMs, () => {
      this.trace.say('fault', `over: ${textOf(fault)}`);
      undo();
      over?.();
    });
  }

  #begin(fault: Fault): (() => void) | undefined {
    switch (fault.kind) {
      case 'kill-server':
      case 'stop-server': {
        const server = this.#server(fault.server);
        if (fault.kind === 'kill-server') server.kill();
        else server.stop();
        return () => server.start();
      }
      case 'kill-servers':
        for (const server of this.servers) server.kill();
        return () => {
          for (const server of this.servers) server.start();
        };
      case 'stall-server':
        return stall(this.#server(fault.server));
      case 'stall-host':
        return stall(this.#host(fault.host));
      case 'kill-host': {
        const host = this.#host(fault.host);
        host.kill();
        return () => host.start();
      }
      case 'reboot-host': {
        const host = this.#host(fault.host);
        host.powerOff();
        return () => host.boot();
      }
      case 'unplug-host': {
        const host = this.#host(fault.host);
        host.unplug();
        return () => host.plug();
      }
      case 'disk': {
        const host = this.#host(fault.host);
        host.setDisk(fault.disk);
        return () => host.setDisk('good');
      }
      case 'cut':
        return this.#cut(fault);
      case 'store-trouble': {
        const { brokenShare, lateShare } = fault;
        Object.assign(this.#trouble, { brokenShare, lateShare });
        return () => {
          this.#trouble.brokenShare = 0;
        };
      }
      case 'lose-watch':
        this.#server(fault.server).loseWatch();
        return undefined;
      case 'hold-watch':
        return this.#server(fault.server).holdWatch();
      case 'old-lead': {
        const { holder } = this.disk;
        this.#restartAll(() => {
          if (holder) this.disk.holder = { ...holder, epoch: Math.max(0, holder.epoch - fault.terms) };
        });
        return () =>
          this.#restartAll(() => {
            const { disk } = this;
            disk.incarnation++;
            disk.holdStill = undefined;
            // The documents of the terms that were forgotten are there.
            if (disk.holder) disk.holder = { ...disk.holder, epoch: Math.max(disk.holder.epoch, holder?.epoch ?? 0) };
          });
      }
      case 'new-authority': {
        const server = this.#server(fault.server);
        server.kill();
        return () => {
          this.disk.authorityS = fault.authorityS;
          this.disk.authorityCeilingS = Math.max(this.disk.authorityCeilingS, fault.authorityS);
          server.start();
        };
      }
      case 'when':
        this.#when(fault);
        return undefined;
      case 'step-clock': {
        const machine = [...this.servers, ...this.hosts].find((each) => each.machine.name === fault.machine)?.machine;
        if (machine) machine.wallOffsetMs += fault.byMs;
        return undefined;
      }
    }
  }

  #toldSinceMs(): number | undefined {
    const leading = this.servers.find(({ isActing }) => isActing);
    return leading ? leading.tellsSinceMs : Number.NEGATIVE_INFINITY;
  }

  #restartAll(meanwhile: () => void): void {
    for (const server of this.servers) server.kill();
    meanwhile();
    for (const server of this.servers) server.start();
  }

  #when({ seen, afterMs, fault }: Extract<Fault, { readonly kind: 'when' }>): void {
    const unlisten = this.disk.listen((changes) => {
      const isSeen = changes.some((change) =>
        seen === 'mark'
          ? change.kind === 'network' && change.network.mark && !change.before?.mark
          : change.kind === 'slot' && change.slot.state === 'reserved' && change.before?.state !== 'reserved',
      );
      if (!isSeen) return;
      unlisten();
      this.world.after(afterMs, () => this.suffer(fault));
    });
  }

  #cut({ of, from, way }: Extract<Fault, { readonly kind: 'cut' }>): () => void {
    const ways: (readonly [string, string])[] = [];
    for (const a of of) {
      for (const b of from) {
        if (way !== 'back') ways.push([a, b]);
        if (way !== 'there') ways.push([b, a]);
      }
    }
    for (const [a, b] of ways) this.network.cut(a, b);
    return () => {
      for (const [a, b] of ways) this.network.heal(a, b);
    };
  }

  /** Everything works again. */
  heal(): void {
    this.trace.say('fault', 'everything is healed');
    this.network.healAll();
    this.guests?.heal();
    this.#trouble.brokenShare = 0;
    for (const each of [...this.servers, ...this.hosts]) each.process?.resume();
    for (const server of this.servers) server.start();
    for (const host of this.hosts) {
      host.boot();
      host.setDisk('good');
      host.plug();
      host.start();
    }
  }

  #server(name: string): ServerNode {
    const server = this.servers.find((each) => each.name === name);
    if (!server) throw new Error(`There is no server ${name}`);
    return server;
  }

  #host(hostId: string): HostNode {
    const host = this.hosts.find((each) => each.hostId === hostId);
    if (!host) throw new Error(`There is no host ${hostId}`);
    return host;
  }
}

/** The store that one server has to itself, on its own machine; a write takes a flush. */
function embedded(disk: MemoryDisk, authorityS: number): Surroundings['openStore'] {
  return (process) => ({
    ...openMemoryStore({ disk, authorityS, delay: { clock: process, writeDelayMs: FLUSH_MS } }),
    loseWatch() {},
    holdWatch: () => () => undefined,
  });
}

function stall({ process }: ServerNode | HostNode): () => void {
  process?.stall();
  return () => process?.resume();
}

function textOf({ kind, ...rest }: Fault | GuestDeed): string {
  const values = Object.entries(rest).map(([key, value]) => {
    if (key === 'fault') return JSON.stringify(value);
    const text = typeof value === 'number' ? String(Math.round(value * 100) / 100) : String(value);
    return key === 'forMs' ? `for ${(Number(value) / 1_000).toFixed(1)} s` : text;
  });
  return `${kind} ${values.join(' ')}`;
}
