// What Leasehold is built for: a host dies, the control plane dies, and guests keep their addresses.

import { bridgeOf, servingHosts } from '../support/cluster.js';
import { uplinkOf } from '../support/netns.js';
import { monotonicMs, PROBE_EVERY_MS, Prober } from '../support/prober.js';
import { runUdhcpc } from '../support/udhcpc.js';
import { seconds, wanted } from './chapters-of-service.js';
import { NETWORK, type Stage } from './stage.js';

/** The serving host dies; the other one takes over. */
export async function failover(stage: Stage): Promise<void> {
  const { narrator, leasehold } = stage;
  narrator.chapter('The serving host dies');
  await stage.reserve('prober');
  await using prober = await Prober.start(await stage.nic('prober'));
  await prober.answerSince(0);
  narrator.say(`A prober asks every ${PROBE_EVERY_MS} ms and is answered.`);

  const [dying] = await servingHosts(leasehold, NETWORK, 1);
  const host = stage.host(dying);
  const killedMs = monotonicMs();
  await Promise.all([host.killAgent(), host.namespace.linkDown(uplinkOf(bridgeOf(NETWORK)))]);
  const goneMs = monotonicMs();
  narrator.say(`${dying} is killed: kill -9 of its agent, and its uplink pulled.`);
  // Only a question asked when it was gone for certain can be answered by nobody but the replacement.
  const answer = await prober.answerSince(goneMs);
  narrator.say(`From the kill to the first answer by the replacement: ${seconds(answer.answeredMs - killedMs)}.`);
  const [replacement] = await servingHosts(leasehold, NETWORK, 1);
  narrator.claim(`${replacement} serves now, in place of ${dying}`, replacement !== dying, true);

  await allRenew(stage);
  await stage.reserve('vm-3');
  await bootsOnce(stage, `vm-3 boots on ${replacement} and has exactly what was reserved`);
}

/** The server dies; guests do not notice. It returns; nothing has changed. */
export async function serverRestart(stage: Stage): Promise<void> {
  const { narrator, cluster } = stage;
  narrator.chapter('The control plane dies and returns');
  const before = await remembered(stage);
  await cluster.server.kill();
  narrator.say('kill -9 of leasehold-server. There is no control plane now.');
  await allRenew(stage);
  await bootsOnce(stage, 'vm-3 boots again, and is answered as before');

  const started = performance.now();
  await cluster.startServer();
  await servingHosts(stage.leasehold, NETWORK, 1);
  narrator.say(`leasehold-server is started again and leads after ${seconds(performance.now() - started)}.`);
  const after = await remembered(stage);
  narrator.claim(
    `The same hosts serve, with the same epochs (${before.placements.join(', ')})`,
    after.placements,
    before.placements,
  );
  narrator.claim(
    `All ${before.reservations.length} reservations are there, unchanged`,
    after.reservations,
    before.reservations,
  );
}

async function allRenew(stage: Stage): Promise<void> {
  for (const [machine, guest] of stage.running()) {
    const { address } = stage.reservationOf(machine);
    const { kind, lease } = await guest.renew();
    stage.narrator.claim(`${machine} renews and keeps ${address}`, [kind, lease?.ip], ['renew', address]);
  }
}

async function bootsOnce(stage: Stage, sentence: string): Promise<void> {
  const lease = await runUdhcpc(await stage.nic('vm-3'));
  const told = lease && { ip: lease.ip, mask: lease.mask, router: lease.router, dns: lease.dns, lease: lease.lease };
  stage.narrator.claim(sentence, told, wanted(stage, 'vm-3'));
}

async function remembered({ leasehold }: Stage) {
  const placements = await leasehold.placements.list().toArray();
  const reservations = await leasehold.reservations.list().toArray();
  return {
    placements: placements.map(({ hostId, epoch }) => `${hostId} epoch ${epoch}`),
    reservations: reservations.map(
      ({ reservationId, address, mac, state }) => `${reservationId} ${address} ${mac} ${state}`,
    ),
  };
}
