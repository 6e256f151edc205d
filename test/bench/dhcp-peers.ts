// Benchmark `dhcp-peers`: the builtin responder beside dnsmasq, with the flags of facts on restricted service, and beside
// Debian's Kea: four-way exchanges with the same guests, in turns; and then what perfdhcp sees of each, which is not ours.
//
// All know every guest and answer nobody else. dnsmasq takes part with as many reservations as its backend takes at most.

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { formatIpv4, type Ipv4 } from '@leasehold/proto/values';
import type { Cluster } from '../support/cluster.js';
import type { Namespace } from '../support/netns.js';
import { WatchedProcess } from '../support/processes.js';
import { run as runProgram } from '../support/run.js';
import { type Benchmark, type Measurement, middle, NotMeasuredError, type Progress, ratios } from './benchmark.js';
import { type Contender, contender, exchange } from './dhcp-contender.js';
import { macOf } from './load.js';
import { WITNESS_RATE, witness } from './perfdhcp.js';
import { serveNetwork } from './served-network.js';
import { startServer } from './target.js';

const FEW = 1_000;
const MOST_OF_DNSMASQ = 5_000;
const MANY = 60_000;
const ROUNDS = 5;
const NEEDED = {
  dnsmasq: 'dnsmasq-base',
  'kea-dhcp4': 'kea-dhcp4-server',
  perfdhcp: 'kea-admin',
  nft: 'nftables',
} as const;

/** See the top of the file. */
export const dhcpPeers: Benchmark = {
  name: 'dhcp-peers',
  summary: 'the same exchanges with the builtin responder, dnsmasq and Kea, and perfdhcp on each',
  run,
};

interface Peer extends Contender {
  readonly name: string;
}

async function run(progress: Progress): Promise<readonly Measurement[]> {
  await checkPrograms();
  await using cluster = await startServer();
  progress('making reservations');
  const peers = [
    await ours(cluster, FEW, 0),
    await ours(cluster, MANY, 1),
    await dnsmasq(cluster, FEW, 2),
    await dnsmasq(cluster, MOST_OF_DNSMASQ, 3),
    await kea(cluster, FEW, 4),
    await kea(cluster, MANY, 5),
  ];
  try {
    for (let round = 0; round <= ROUNDS; round++) {
      for (const peer of peers) await exchange(peer, round > 0);
      const rates = peers.map(({ perSecond }) => perSecond.at(-1)?.toFixed(0) ?? '-');
      progress(`round ${round} of ${ROUNDS}: ${rates.join(', ')} exchanges/s`);
    }
    const seen: Measurement[] = [];
    for (const peer of peers) {
      seen.push(...(await byWitness(peer, cluster.directory)));
      progress(`perfdhcp: ${seen.length / 2} of ${peers.length}`);
    }
    return [...compare(peers), ...seen];
  } finally {
    for (const { responder } of peers) await responder.kill();
  }
}

async function checkPrograms(): Promise<void> {
  const missing: string[] = [];
  for (const [program, from] of Object.entries(NEEDED)) {
    const { code } = await runProgram(program, ['-v']);
    if (code === 127) missing.push(from);
  }
  if (missing.length > 0) throw new NotMeasuredError(`Not installed: apt-get install ${missing.join(' ')}`);
}

async function ours(cluster: Cluster, reservations: number, n: number): Promise<Peer> {
  const { networkId, host } = await serveNetwork(cluster, `net-${reservations}`, n, reservations);
  return { name: 'builtin', ...(await contender(cluster, networkId, host.agent, reservations)) };
}

/** A program of others in a namespace of its own, on a bridge with this address. */
async function other(
  cluster: Cluster,
  name: string,
  n: number,
  reservations: number,
  address: string,
  start: (interfaceName: string, namespace: Namespace) => WatchedProcess,
): Promise<Peer> {
  const wire = `${name}-${n}`;
  const namespace = await cluster.lab.namespace(wire);
  await cluster.lab.bridge(namespace, `br-${wire}`, await cluster.wire(wire));
  await namespace.addAddress(`br-${wire}`, address);
  return { name, ...(await contender(cluster, wire, start(`br-${wire}`, namespace), reservations)) };
}

function reservationsOf(count: number, n: number): readonly { readonly mac: string; readonly address: string }[] {
  const first = 0x0a000000 + n * 65_536 + 10;
  return Array.from({ length: count }, (_, i) => ({ mac: macOf(i), address: formatIpv4((first + i) as Ipv4) }));
}

function dnsmasq(cluster: Cluster, reservations: number, n: number): Promise<Peer> {
  const hosts = join(cluster.directory, `hosts-${n}`);
  const lines = reservationsOf(reservations, n).map(({ mac, address }) => `${mac},set:sn0,${address}\n`);
  writeFileSync(hosts, lines.join(''));
  const start = (interfaceName: string, namespace: Namespace) => {
    const network = `10.${n}.0.0`;
    const flags = [
      ...[
        '--keep-in-foreground',
        '--conf-file=/dev/null',
        '--port=0',
        '--bind-dynamic',
        `--interface=${interfaceName}`,
      ],
      ...['--except-interface=lo', '--pid-file=', '--user=root', '--no-ping', '--quiet-dhcp', '--log-facility=-'],
      ...['--leasefile-ro', '--dhcp-lease-max=70000', '--dhcp-authoritative', '--dhcp-broadcast'],
      ...['--dhcp-ignore=tag:!known', `--shared-network=${interfaceName},${network}`],
      ...[`--dhcp-range=set:sn0,${network},static,255.255.0.0,3600`, `--dhcp-hostsfile=${hosts}`],
    ];
    return new WatchedProcess('dnsmasq', flags, { namespace });
  };
  return other(cluster, 'dnsmasq', n, reservations, '169.254.1.1/32', start);
}

function kea(cluster: Cluster, reservations: number, n: number): Promise<Peer> {
  const file = join(cluster.directory, `kea-${n}.json`);
  const start = (interfaceName: string, namespace: Namespace) => {
    const known = reservationsOf(reservations, n).map(({ mac, address }) => ({
      'hw-address': mac,
      'ip-address': address,
    }));
    const config = {
      'interfaces-config': { interfaces: [interfaceName], 'dhcp-socket-type': 'raw' },
      'lease-database': { type: 'memfile', persist: false },
      'valid-lifetime': 3_600,
      'match-client-id': false,
      'reservations-in-subnet': true,
      'reservations-out-of-pool': true,
      'client-classes': [{ name: 'DROP', test: "not member('KNOWN')" }],
      subnet4: [{ subnet: `10.${n}.0.0/16`, pools: [], reservations: known }],
      loggers: [{ name: 'kea-dhcp4', severity: 'ERROR', output_options: [{ output: 'stdout' }] }],
    };
    writeFileSync(file, JSON.stringify({ Dhcp4: config }));
    const env = { KEA_PIDFILE_DIR: cluster.directory, KEA_LOCKFILE_DIR: cluster.directory };
    return new WatchedProcess('kea-dhcp4', ['-c', file], { namespace, env });
  };
  return other(cluster, 'kea', n, reservations, `10.${n}.0.1/16`, start);
}

async function byWitness({ name, guest, macs }: Peer, directory: string): Promise<readonly Measurement[]> {
  const { perSecond, lostPercent } = await witness(guest, macs, directory);
  const what = `by perfdhcp, ${WITNESS_RATE} offered: ${name}, ${macs} reservations`;
  return [
    { name: `exchanges ${what}`, value: perSecond, unit: '/s' },
    { name: `lost ${what}`, value: lostPercent, unit: '%' },
  ];
}

function compare(peers: readonly Peer[]): readonly Measurement[] {
  const of = (name: string, macs: number) => peers.find((peer) => peer.name === name && peer.macs === macs) as Peer;
  const against = (mine: Peer, theirs: Peer) => ({
    name: `per core second, builtin, ${mine.macs} : ${theirs.name}, ${theirs.macs} reservations`,
    ...middle(ratios(mine.perCoreSecond, theirs.perCoreSecond)),
    unit: 'x',
  });
  return [
    against(of('builtin', FEW), of('dnsmasq', FEW)),
    against(of('builtin', MANY), of('dnsmasq', MOST_OF_DNSMASQ)),
    against(of('builtin', FEW), of('kea', FEW)),
    against(of('builtin', MANY), of('kea', MANY)),
    ...peers.flatMap(({ name, macs, perCoreSecond, perSecond }) => [
      { name: `exchanges per core second: ${name}, ${macs} reservations`, ...middle(perCoreSecond), unit: '/s' },
      { name: `on the wire: ${name}, ${macs} reservations`, ...middle(perSecond), unit: '/s' },
    ]),
  ];
}
