// The fake server of @leasehold/sdk/testing: the control plane and its hosts in one process, with gRPC on loopback.
//
//   F1. All that is not played is the product's: use cases, allocation, refusals, transport, agents.
//   F2. What is stored outlives a stop; the address stays the same.

import type { Clock } from '@leasehold/program/clock';
import type { Entropy } from '@leasehold/program/entropy';
import {
  type Endpoint,
  formatEndpoint,
  isLoopback,
  parseDuration,
  parseListen,
} from '@leasehold/program/option-values';
import { systemClock } from '@leasehold/program/system-clock';
import { systemEntropy } from '@leasehold/program/system-entropy';
import { IpamServiceService } from '@leasehold/proto/ipam/v1/ipam_service';
import { parseMac, parseResourceId } from '@leasehold/proto/values';
import type { FakeClock, FakeHost, FakeHostOptions, FakeServer, FakeServerOptions } from '@leasehold/sdk/testing';
import { virtualBreakers } from '@leasehold/server/adapters/breaker/virtual-breaker';
import { MemoryDisk } from '@leasehold/server/adapters/memory/memory-disk';
import { openMemoryStore } from '@leasehold/server/adapters/memory/memory-store';
import { startControlPlane } from '@leasehold/server/control-plane';
import type { WallTime } from '@leasehold/server/domain/ids';
import type { AgentStreams } from '@leasehold/server/transport/agent-stream';
import { HolderCalls } from '@leasehold/server/transport/holder-calls';
import { ipamHandlers } from '@leasehold/server/transport/ipam-service';
import { ENGINE_LIMITS, listen } from '@leasehold/server/transport/listener';
import type { Descriptors } from '@leasehold/server/transport/reflection';
import { PlayedHost } from './played-host.js';
import { RunningClock } from './running-clock.js';
import { SILENT } from './silent-log.js';

const ANY_PORT = '127.0.0.1:0';
// Two heartbeats, of which the second one shows that the answer to the first was heard.
const SETTLED_MS = 3_000;
const SERVICE = 'ipam.v1.IpamService';

/** Starts a fake server; `descriptors`: what reflection tells. An option that cannot be is a TypeError. */
export async function startFakeServer(options: FakeServerOptions, descriptors: Descriptors): Promise<FakeServer> {
  const server = new RunningFake(endpointOf(options.listen ?? ANY_PORT), descriptors);
  await server.start();
  return server;
}

function endpointOf(text: string): Endpoint {
  const endpoint = parseListen(text);
  if (!endpoint.ok) throw new TypeError(`listen: ${endpoint.problem}, not ${JSON.stringify(text)}`);
  if (!isLoopback(endpoint.value))
    throw new TypeError(`listen: ${text} is not on loopback, and a fake lets everybody do everything`);
  return endpoint.value;
}

/** A server that runs. */
interface Running {
  readonly agents: AgentStreams;
  stop(): Promise<void>;
}

class RunningFake implements FakeServer {
  readonly #time = new RunningClock(systemClock());
  readonly #entropy: Entropy = systemEntropy();
  readonly #disk = new MemoryDisk();
  readonly #hosts = new Map<string, PlayedHost>();
  readonly #descriptors: Descriptors;
  #endpoint: Endpoint;
  #running: Running | undefined;
  #starting: Promise<void> | undefined;

  constructor(endpoint: Endpoint, descriptors: Descriptors) {
    this.#endpoint = endpoint;
    this.#descriptors = descriptors;
  }

  get address(): string {
    return formatEndpoint(this.#endpoint);
  }

  readonly clock: FakeClock = {
    now: () => this.#time.wallTime(),
    advance: (by) => this.#time.advance(millisecondsOf(by)),
  };

  async addHost(hostId: string, { networks, failureDomain = '' }: FakeHostOptions): Promise<FakeHost> {
    // Its hello would be refused, again and again, and nobody told.
    checkId('hostId', hostId);
    for (const networkId of networks) checkId('networks', networkId);
    if (failureDomain !== '') checkId('failureDomain', failureDomain);
    if (this.#hosts.has(hostId)) throw new RangeError(`There is a host ${hostId} already`);
    const around = {
      clock: this.#time,
      entropy: () => this.#entropy,
      agents: () => this.#running?.agents,
      way: () => queueMicrotask,
    };
    const host = new PlayedHost(around, hostId, networks, failureDomain);
    this.#hosts.set(hostId, host);
    const known = new Promise<void>((resolve) => {
      host.wire.witness = { heard() {}, said: ({ message }) => message?.$case === 'welcome' && resolve() };
    });
    await host.start();
    if (this.#running) await known;
    await this.#settleIn();
    return this.#handleOf(host);
  }

  /** Of a host that it did not hear for some time a server does not say quickly that it is dead. */
  async #settleIn(): Promise<void> {
    await this.#time.advance(SETTLED_MS);
  }

  host(hostId: string): FakeHost {
    const host = this.#hosts.get(hostId);
    if (!host) throw new RangeError(`There is no host ${hostId}: add it with addHost`);
    return this.#handleOf(host);
  }

  #handleOf(host: PlayedHost): FakeHost {
    return {
      hostId: host.hostId,
      answer: (networkId, mac) => answerOf(host, networkId, mac),
      stop: () => host.kill(),
      start: async () => {
        await host.start();
        await this.#settleIn();
      },
    };
  }

  start(): Promise<void> {
    this.#starting ??= this.#start().finally(() => {
      this.#starting = undefined;
    });
    return this.#starting;
  }

  async #start(): Promise<void> {
    if (this.#running) return;
    const { running, endpoint } = await runServer(this.#endpoint, this.#disk, this.#descriptors, {
      clock: this.#time,
      entropy: this.#entropy,
    });
    this.#endpoint = endpoint;
    this.#running = running;
  }

  async stop(): Promise<void> {
    await this.#starting?.catch(() => undefined);
    const running = this.#running;
    this.#running = undefined;
    for (const host of this.#hosts.values()) host.wire.breakStream();
    await running?.stop();
  }

  async close(): Promise<void> {
    for (const host of this.#hosts.values()) await host.kill();
    await this.stop();
    this.#time.stop();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}

/** The control plane on what the disk has, listening. */
async function runServer(
  wanted: Endpoint,
  disk: MemoryDisk,
  descriptors: Descriptors,
  { clock, entropy }: { readonly clock: Clock; readonly entropy: Entropy },
): Promise<{ readonly running: Running; readonly endpoint: Endpoint }> {
  const store = openMemoryStore({ disk });
  const startTime = clock.wallTime().getTime() as WallTime;
  const identity = { version: 'fake', name: 'fake', startTime, insecureListeners: [formatEndpoint(wanted)] };
  const log = SILENT;
  const makeBreaker = virtualBreakers(clock);
  const plane = await startControlPlane({ store, clock, entropy, log, makeBreaker, identity });
  const holder = new HolderCalls(plane.lease, identity.name, clock);
  const handlers = ipamHandlers(log, plane.useCases, holder);
  const service = { name: SERVICE, definition: IpamServiceService, handlers };
  const end = async () => {
    await plane.stop();
    holder.close();
    await store.close();
  };
  try {
    const listener = await listen([wanted], service, ENGINE_LIMITS, descriptors);
    const [endpoint = wanted] = listener.endpoints;
    const stop = async () => {
      const drained = listener.drain(0);
      await end();
      await drained;
    };
    return { running: { agents: plane.agents, stop }, endpoint };
  } catch (error) {
    await end();
    throw error;
  }
}

function answerOf(host: PlayedHost, networkId: string, text: string): string | undefined {
  const mac = parseMac(text);
  if (!mac.ok) throw new TypeError(`mac: ${mac.problem}, not ${JSON.stringify(text)}`);
  const answered = `${host.hostId} ${mac.value}=`;
  const found = host.answers(networkId).find((answer) => answer.startsWith(answered));
  return found?.slice(answered.length);
}

function checkId(name: string, text: string): void {
  const id = parseResourceId(text);
  if (!id.ok) throw new TypeError(`${name}: ${id.problem}`);
}

function millisecondsOf(by: number | string): number {
  const parsed = typeof by === 'string' ? parseDuration(by) : by;
  if (typeof parsed === 'number') {
    if (!Number.isFinite(parsed)) throw new TypeError(`advance: expected milliseconds, not ${parsed}`);
    if (parsed >= 0) return parsed;
    throw new TypeError(`advance: time does not go back, by ${parsed}`);
  }
  if (!parsed.ok) throw new TypeError(`advance: ${parsed.problem}, not ${JSON.stringify(by)}`);
  return parsed.value;
}
