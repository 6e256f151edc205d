// leasehold-agent: reads its options and puts the agent together with the operating system.

import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Clock } from '@leasehold/program/clock';
import { createLog, type Log } from '@leasehold/program/log';
import { formatEndpoint } from '@leasehold/program/option-values';
import { drainOnSignal, fail, optionsOrExit } from '@leasehold/program/shutdown';
import { systemClock } from '@leasehold/program/system-clock';
import { systemEntropy } from '@leasehold/program/system-entropy';
import { TlsFiles } from '@leasehold/program/tls-files';
import { speaksTls, tlsPaths } from '@leasehold/program/tls-options';
import { whyNoServer, whyNotHost } from '@leasehold/proto/identity';
import { type Agent, type AgentConfig, createAgent } from './agent.js';
import { type AgentOptions, agentProgram, findConflict, mayDial } from './agent-options.js';
import { BuiltinBackend } from './backends/builtin/builtin-backend.js';
import { systemSockets } from './backends/builtin/system-sockets.js';
import type { DhcpBackend } from './backends/dhcp-backend.js';
import { DnsmasqBackend } from './backends/dnsmasq/dnsmasq-backend.js';
import { KeeperClient } from './backends/dnsmasq/keeper-client.js';
import { removeOthers, SystemFiles } from './backends/dnsmasq/system-files.js';
import { systemGhosts } from './backends/dnsmasq/system-ghosts.js';
import { SystemKeeper } from './backends/dnsmasq/system-keeper.js';
import { relaxReversePathFilter } from './backends/host/reverse-path.js';
import { systemServiceAddresses } from './backends/host/system-service-addresses.js';
import type { ConfiguredNetwork } from './networks-config.js';
import { NetworksFile } from './networks-file.js';
import { grpcTransport } from './session/grpc-transport.js';
import { PLAIN, type Security, tlsSecurity } from './session/security.js';
import { StateStore } from './state/state-store.js';
import { readBootId } from './system/boot-id.js';
import { boottimeNow } from './system/boottime.js';
import { systemFrameSockets } from './system/frame-sockets.js';
import { firstAddressOf, systemInterfaces } from './system/interfaces.js';
import { lookup } from './system/lookup.js';
import { NodeFiles } from './system/node-files.js';

const NAME = 'leasehold-agent';

const KEEPER = fileURLToPath(new URL('./keeper/main.js', import.meta.url));

async function main(): Promise<void> {
  const manifest = readFileSync(new URL('../package.json', import.meta.url), 'utf8');
  const { version } = JSON.parse(manifest) as { readonly version: string };
  const options = optionsOrExit(agentProgram(version), { args: process.argv.slice(2), env: process.env });
  const conflict = findConflict(options);
  if (conflict !== undefined) fail(NAME, `${conflict} (see --help)`, 2);
  const log = createLog({ level: options.logLevel, format: options.logFormat });
  // Authority is measured across suspend and restarts of the agent.
  const clock = systemClock(boottimeNow);
  const files = await openStateDirectory(options.stateDir);
  const backend = makeBackend(options, { clock, log });
  const agent = makeAgent(options, version, { files, backend }, { clock, log });
  const networksFile = followNetworks(options, agent, { clock, log });
  drainOnSignal(process, {
    clock,
    log,
    drain: async () => {
      networksFile?.stop();
      await agent.stop();
      await files.close();
    },
  });
  await agent.start().catch((error: unknown) => {
    fail(NAME, `--state-dir ${options.stateDir} cannot be read: ${messageOf(error)}`);
  });
  if (backend instanceof DnsmasqBackend) await backend.endOthers();
  announce(options, log);
}

function makeBackend(options: AgentOptions, { clock, log }: { readonly clock: Clock; readonly log: Log }): DhcpBackend {
  const directory = resolve(options.stateDir, 'dnsmasq');
  const keeper = new SystemKeeper(KEEPER, directory, clock);
  const serviceAddresses = systemServiceAddresses;
  if (options.backend === 'builtin') {
    // What an agent with the other backend left would hold port 67.
    keeper.kill();
    return new BuiltinBackend({ clock, log, sockets: systemSockets, serviceAddresses });
  }
  return new DnsmasqBackend(directory, {
    clock,
    log,
    processes: new KeeperClient(keeper, clock, log),
    ghosts: systemGhosts(clock),
    serviceAddresses,
    prepareInterface: relaxReversePathFilter,
    firstAddressOf,
    openFiles: (path) => new SystemFiles(path),
    removeOthers,
  });
}

async function openStateDirectory(directory: string): Promise<NodeFiles> {
  try {
    const files = await NodeFiles.open(directory);
    if (files) return files;
  } catch (error) {
    return fail(NAME, `--state-dir ${directory} cannot be used: ${messageOf(error)}`);
  }
  return fail(NAME, `--state-dir ${directory} is in use by another running agent`);
}

function makeAgent(
  options: AgentOptions,
  agentVersion: string,
  { files, backend }: { readonly files: NodeFiles; readonly backend: DhcpBackend },
  { clock, log }: { readonly clock: Clock; readonly log: Log },
): Agent {
  const entropy = systemEntropy();
  const config: AgentConfig = {
    hostId: options.hostId,
    servers: options.server.map(formatEndpoint),
    failureDomain: options.failureDomain ?? '',
    agentVersion,
    bootId: readBootId(),
  };
  const mayFollow = (server: string) => mayDial(server, options);
  const security = securityOf(options, { clock, log });
  const transport = grpcTransport({ security, clock, mayFollow, lookup });
  const state = new StateStore({ files, entropy, log });
  const { readLink } = systemInterfaces;
  const frameSockets = systemFrameSockets;
  return createAgent({ clock, entropy, log, transport, backend, state, readLink, frameSockets }, config);
}

function securityOf(
  options: AgentOptions,
  ports: { readonly clock: Clock; readonly log: Log },
): (server: string) => Security {
  const paths = tlsPaths(options);
  if (!paths) return () => PLAIN;
  const { hostId, tlsTrustDomain, tlsServerName: serverName } = options;
  const files = TlsFiles.open(paths, (names) => whyNotHost(hostId, names, tlsTrustDomain), ports);
  if (!files.ok) return fail(NAME, files.problem);
  return tlsSecurity({
    files: files.value,
    isSecure: (endpoint) => speaksTls(endpoint, options),
    serverName,
    whyNoServer: (names) => whyNoServer(names, tlsTrustDomain),
  });
}

function followNetworks(
  options: AgentOptions,
  agent: Agent,
  ports: { readonly clock: Clock; readonly log: Log },
): NetworksFile | undefined {
  const setNetworks = (fromFile: readonly ConfiguredNetwork[]) => {
    const networks = [...options.network, ...fromFile];
    agent.setNetworks(new Map(networks.map((network) => [network.networkId, network.interface])));
  };
  setNetworks([]);
  if (options.networksFile === undefined) return undefined;
  const file = new NetworksFile(options.networksFile, options.network, ports, setNetworks);
  file.start();
  return file;
}

function announce(options: AgentOptions, log: Log): void {
  log.info('leasehold-agent is ready', {
    host: options.hostId,
    servers: options.server.map(formatEndpoint),
    networks: options.network.map(({ networkId, interface: name }) => `${networkId}=${name}`),
    networksFile: options.networksFile,
    backend: options.backend,
    stateDir: options.stateDir,
  });
  if (options.insecureNetwork)
    log.warn('Servers are reached without TLS: whoever is on the way can hand out addresses');
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

await main();
