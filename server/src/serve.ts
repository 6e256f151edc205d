// The server: the control plane put together with the store, the wire and the operating system.

import { setLogger } from '@grpc/grpc-js';
import type { Clock } from '@leasehold/program/clock';
import { createLog, type Log } from '@leasehold/program/log';
import { type Endpoint, formatEndpoint, isLoopback } from '@leasehold/program/option-values';
import { drainOnSignal, fail, optionsOrExit } from '@leasehold/program/shutdown';
import { systemClock } from '@leasehold/program/system-clock';
import { systemEntropy } from '@leasehold/program/system-entropy';
import { TlsFiles } from '@leasehold/program/tls-files';
import { speaksTls, tlsPaths } from '@leasehold/program/tls-options';
import { whyNoServer } from '@leasehold/proto/identity';
import { HostAgentServiceService } from '@leasehold/proto/ipam/v1/host_agent_service';
import { IpamServiceService } from '@leasehold/proto/ipam/v1/ipam_service';
import { opossumBreaker } from './adapters/breaker/opossum-breaker.js';
import { type CommandContext, messageOf } from './commands/command.js';
import { type ControlPlane, startControlPlane } from './control-plane.js';
import type { WallTime } from './domain/ids.js';
import { type OpenStoreOptions, openStore } from './open-store.js';
import type { Metrics } from './ports/metrics.js';
import type { Store } from './ports/store.js';
import {
  advertised,
  findConflict,
  insecureEndpoints,
  type ServerOptions,
  serverName,
  serverProgram,
} from './server-options.js';
import { formatStore } from './store-target.js';
import { AGENT_ACCEPTS } from './transport/accept-queue.js';
import { hostAgentHandlers } from './transport/agent-stream.js';
import { type Dial, PLAIN_DIAL, tlsDial } from './transport/dial.js';
import type { Accepting } from './transport/doors.js';
import { HolderCalls } from './transport/holder-calls.js';
import { ipamHandlers } from './transport/ipam-service.js';
import { agentLimits, engineLimits, type Listener, listen, type Securing } from './transport/listener.js';
import { listenForScrapes, type MetricsListener } from './transport/metrics-listener.js';
import { Prometheus } from './transport/prometheus.js';
import { readDescriptors } from './transport/reflection.js';

const NAME = 'leasehold-server';
// Of the 10 s a stop may take; what is still running then is ended.
const GRACE_MS = 5_000;

/** Serves until a signal ends it. */
export async function serve({ version, args, env }: CommandContext): Promise<void> {
  const options = optionsOrExit(serverProgram(version), { args, env });
  const conflict = findConflict(options);
  if (conflict !== undefined) fail(NAME, `${conflict} (see --help)`, 2);
  const log = createLog({ level: options.logLevel, format: options.logFormat });
  // The library would write lines of its own to stderr, about what we say better.
  const quiet = (message: unknown) => log.debug('grpc', { message: String(message) });
  setLogger({ error: quiet, info: quiet, debug: quiet });
  const clock = systemClock();
  const tls = openTls(options, { clock, log });
  const prometheus = new Prometheus();
  const ports = { clock, entropy: systemEntropy(), log, metrics: prometheus.metrics, makeBreaker: opossumBreaker };
  const store = await openStoreOrFail(options, ports);
  const plane = await startControlPlane({
    ...ports,
    store,
    advertise: advertised(options.advertise, options.listen),
    agentAdvertise: advertised(options.agentAdvertise, options.agentListen),
    historyRetentionMs: options.historyRetention,
    auditLog: options.auditLog,
    limits: options,
    identity: {
      version,
      name: serverName(options.listen[0]),
      startTime: clock.wallTime().getTime() as WallTime,
      insecureListeners: insecureEndpoints(options).map(formatEndpoint),
      certificateEnd: tls && (() => new Date(tls.current.notAfterMs)),
    },
  });
  prometheus.show(plane.useCases);
  const holder = new HolderCalls(plane.lease, serverName(options.listen[0]), clock, dialOf(options, tls));
  const doors = doorsOf(options, tls, { clock, log, metrics: prometheus.metrics });
  const listeners = await listenOrFail(options, plane, holder, store, doors, log, prometheus);
  if (tls) prometheus.showTls(tls, [listeners.engines, listeners.agents]);
  drain(listeners, plane, holder, store, ports);
  announce(options, listeners, plane, store, log);
}

function openTls(options: ServerOptions, ports: { readonly clock: Clock; readonly log: Log }): TlsFiles | undefined {
  const paths = tlsPaths(options);
  if (!paths) return undefined;
  const files = TlsFiles.open(paths, (names) => whyNoServer(names, options.tlsTrustDomain), ports);
  return files.ok ? files.value : fail(NAME, files.problem);
}

function dialOf(options: ServerOptions, files: TlsFiles | undefined): Dial {
  if (!files) return PLAIN_DIAL;
  return tlsDial({
    files,
    isSecure: (endpoint) => speaksTls(endpoint, options),
    serverName: options.tlsServerName,
    whyNoServer: (names) => whyNoServer(names, options.tlsTrustDomain),
  });
}

/** How connections are let in: of agents always by a rate, and of both by TLS where it is spoken. */
interface ListenerDoors {
  readonly agentAccepting: Accepting;
  readonly engineAccepting: Accepting;
  readonly engineTlsAccepting: Accepting;
  readonly securing: ((accepting: Accepting) => Securing) | undefined;
}

function doorsOf(
  options: ServerOptions,
  files: TlsFiles | undefined,
  ports: { readonly clock: Clock; readonly log: Log; readonly metrics: Metrics },
): ListenerDoors {
  const isSecure = (endpoint: Endpoint) => speaksTls(endpoint, options);
  const trustDomain = options.tlsTrustDomain;
  return {
    agentAccepting: { limits: AGENT_ACCEPTS, ...ports, of: 'agent' },
    engineAccepting: { ...ports, of: 'engine' },
    engineTlsAccepting: { limits: AGENT_ACCEPTS, ...ports, of: 'engine' },
    securing: files && ((accepting) => ({ files, trustDomain, isSecure, accepting, ...ports })),
  };
}

async function openStoreOrFail(
  { store, authority: authorityMs }: ServerOptions,
  ports: Omit<OpenStoreOptions, 'authorityMs' | 'onFatal'>,
): Promise<Store> {
  // Nothing can be acknowledged any more, and LMDB must be opened anew: the service manager starts us again.
  const onFatal = (error: Error) => {
    ports.log.error('the store failed, exiting', { store: formatStore(store), error: error.message });
    process.exit(1);
  };
  try {
    return await openStore(store, { ...ports, authorityMs, onFatal });
  } catch (error) {
    return fail(NAME, messageOf(error));
  }
}

interface Listeners {
  readonly engines: Listener;
  readonly agents: Listener;
  readonly scrapes: MetricsListener | undefined;
}

async function listenOrFail(
  options: ServerOptions,
  plane: ControlPlane,
  holder: HolderCalls,
  store: Store,
  { agentAccepting, engineAccepting, engineTlsAccepting, securing }: ListenerDoors,
  log: Log,
  prometheus: Prometheus,
): Promise<Listeners> {
  const descriptors = readDescriptors();
  const engines = {
    name: 'ipam.v1.IpamService',
    definition: IpamServiceService,
    handlers: ipamHandlers(log, plane.useCases, holder),
  };
  const agents = {
    name: 'ipam.v1.HostAgentService',
    definition: HostAgentServiceService,
    handlers: hostAgentHandlers(plane.agents),
  };
  try {
    return {
      engines: await listen(options.listen, engines, engineLimits(options), descriptors, {
        accepting: engineAccepting,
        securing: securing?.(engineTlsAccepting),
      }),
      agents: await listen(options.agentListen, agents, agentLimits(options), descriptors, {
        accepting: agentAccepting,
        securing: securing?.(agentAccepting),
      }),
      scrapes: options.metricsListen && (await listenForScrapes(options.metricsListen, prometheus)),
    };
  } catch (error) {
    await store.close();
    return fail(NAME, messageOf(error));
  }
}

function drain(
  { engines, agents, scrapes }: Listeners,
  plane: ControlPlane,
  holder: HolderCalls,
  store: Store,
  ports: { readonly clock: Clock; readonly log: Log },
): void {
  const end = async () => {
    const draining = engines.drain(GRACE_MS);
    await plane.stop();
    await Promise.all([draining, agents.drain(GRACE_MS)]);
    holder.close();
    await Promise.all([scrapes?.close(), store.close()]);
  };
  drainOnSignal(process, { ...ports, drain: end });
}

function announce(
  options: ServerOptions,
  { engines, agents, scrapes }: Listeners,
  { lease }: ControlPlane,
  store: Store,
  log: Log,
): void {
  const { storeUid, incarnation, authorityS } = store.settings;
  log.info('leasehold-server is ready', {
    listen: engines.endpoints.map(formatEndpoint),
    agentListen: agents.endpoints.map(formatEndpoint),
    ...(scrapes ? { metricsListen: formatEndpoint(scrapes.endpoint) } : {}),
    store: formatStore(options.store),
    storeUid,
    incarnation,
    ...(lease.isSelf ? { holderEpoch: lease.epoch } : { holder: lease.holder?.server ?? '' }),
    authorityS,
  });
  const open = insecureEndpoints(options).filter((endpoint) => !isLoopback(endpoint));
  if (open.length > 0) {
    const listen = open.map(formatEndpoint);
    log.warn('Listening without TLS on the network: whoever can reach it can do everything', { listen });
  }
}
