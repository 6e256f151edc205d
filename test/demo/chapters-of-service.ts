// What Leasehold is for: reserve, deliver, keep silent, release.

import { LeaseholdError } from '@leasehold/sdk';
import { bridgeOf, servingHosts } from '../support/cluster.js';
import { eventually } from '../support/eventually.js';
import type { WatchedProcess } from '../support/processes.js';
import { runUdhcpc } from '../support/udhcpc.js';
import { MACS, type Machine, NETWORK, SETTINGS, type Stage, SUBNET } from './stage.js';

/** The control plane and two hosts start. */
export async function startCluster(stage: Stage): Promise<void> {
  const { cluster, narrator, hosts, leasehold } = stage;
  narrator.chapter('A control plane and two hosts');
  const started = performance.now();
  await cluster.startServer();
  narrator.say(
    `One command, no database to install, ready after ${seconds(performance.now() - started)}:`,
    `$ leasehold-server ${commandLine(cluster.server, cluster.directory)}`,
  );
  for (const hostId of ['h1', 'h2']) hosts.push(await cluster.host(hostId, [NETWORK]));
  narrator.say(`$ leasehold-agent ${commandLine(stage.host('h1').agent, cluster.directory)}`, '  and the same for h2');
  const up = await eventually('both hosts are up', async () => {
    const seen = await leasehold.hosts.list({ networkId: NETWORK }).toArray();
    return seen.length === 2 && seen.every(({ liveness }) => liveness === 'up') && seen;
  });
  const bridge = bridgeOf(NETWORK);
  const attached = up.map(({ hostId, attachments }) => [hostId, attachments.map((each) => each.interface)]);
  narrator.claim(`h1 and h2 run leasehold-agent, are up, and have network ${NETWORK} on ${bridge}`, attached, [
    ['h1', [bridge]],
    ['h2', [bridge]],
  ]);
}

/** The engine describes a network; the manager finds a host to serve it. */
export async function createNetwork({ narrator, leasehold }: Stage): Promise<void> {
  narrator.chapter('A network and its subnet, through the SDK');
  const network = await leasehold.networks.create({ networkId: NETWORK, dhcpServerCount: 1 });
  narrator.say(`Network ${NETWORK} wants ${network.dhcpServerCount} DHCP server.`);
  const { cidr, gateway, dnsServers, leaseTimeSeconds } = await leasehold.subnets.create({
    subnetId: SUBNET,
    networkId: NETWORK,
    ...SETTINGS,
  });
  narrator.say(
    `Subnet ${SUBNET}: ${cidr}, gateway ${gateway}, DNS ${dnsServers.join(' and ')}, leases of ${leaseTimeSeconds} s.`,
  );
  const [host] = await servingHosts(leasehold, NETWORK, 1);
  const placements = await leasehold.placements.list({ networkId: NETWORK }).toArray();
  narrator.claim(`The manager placed it on ${host}, and on no other host`, placements.length, 1);
}

/** The engine reserves an address for each of two machines. */
export async function reserve(stage: Stage): Promise<void> {
  stage.narrator.chapter('An engine reserves addresses for two virtual machines');
  const first = await stage.reserve('vm-1');
  const second = await stage.reserve('vm-2');
  stage.narrator.claim('The two addresses differ', first.address !== second.address, true);
}

/** The machines boot, and real DHCP clients get what was reserved. */
export async function guestsBoot(stage: Stage): Promise<void> {
  stage.narrator.chapter('The machines boot, each with a real DHCP client (udhcpc)');
  for (const machine of ['vm-1', 'vm-2'] as const) {
    const guest = await stage.boot(machine);
    const { ip, mask, router, dns, lease, serverid } = await guest.bound();
    stage.narrator.say(
      `${machine} was told: address ${ip}/${mask}, gateway ${router}, DNS ${dns}, ${lease} s, by server ${serverid}.`,
    );
    stage.narrator.claim(
      `${machine} has exactly what was reserved`,
      { ip, mask, router, dns, lease },
      wanted(stage, machine),
    );
  }
}

/** A machine without a reservation asks. */
export async function strangerAsks(stage: Stage): Promise<void> {
  const { narrator } = stage;
  narrator.chapter('A machine that nobody reserved for');
  narrator.say(`The stranger (${MACS.stranger}) asks twice.`);
  const lease = await runUdhcpc(await stage.nic('stranger'), { tries: 2 });
  narrator.claim('It hears nothing', lease, undefined);
}

/** A released address rests, and returns to its machine. */
export async function release(stage: Stage): Promise<void> {
  const { narrator, leasehold } = stage;
  narrator.chapter('A machine stops, and its address rests');
  const { address, reservationId } = stage.reservationOf('vm-1');
  await stage.stop('vm-1');
  const released = await leasehold.reservations.release({ reservationId, guestStopped: true });
  narrator.claim(`vm-1 stopped, ${address} is released and in quarantine`, released.state, 'quarantined');
  const restSeconds = ((released.reusableTime?.getTime() ?? 0) - Date.now()) / 1_000;
  narrator.say(`Another machine may have it in ${restSeconds.toFixed(0)} s at the earliest.`);
  const refusal = await leasehold.reservations
    .reserve({ subnetId: SUBNET, mac: MACS['vm-4'], address })
    .then(() => 'accepted')
    .catch((error: unknown) => (error instanceof LeaseholdError ? error.reason : String(error)));
  narrator.claim(`vm-4 asks for ${address} and is refused: ADDRESS_QUARANTINED`, refusal, 'ADDRESS_QUARANTINED');
  await stage.reserve('vm-1');
  const guest = await stage.boot('vm-1');
  narrator.claim(`vm-1 starts again and gets its ${address} back`, (await guest.bound()).ip, address);
}

/** What the DHCP client of a machine must report. */
export function wanted(stage: Stage, machine: Machine): object {
  return {
    ip: stage.reservationOf(machine).address,
    mask: SETTINGS.cidr.split('/')[1],
    router: SETTINGS.gateway,
    dns: SETTINGS.dnsServers.join(' '),
    lease: String(SETTINGS.leaseTimeSeconds),
  };
}

// As a person would type it: from the directory of the cluster.
function commandLine({ title }: WatchedProcess, directory: string): string {
  const [, , ...args] = title.split(' ');
  return args.join(' ').replaceAll(`${directory}/`, '');
}

/** A span for people. */
export function seconds(ms: number): string {
  return `${(ms / 1_000).toFixed(1)} s`;
}
