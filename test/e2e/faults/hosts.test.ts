// A host that dies, stands still, or is cut off from the servers, wholly or in one direction, is replaced; guests keep what
// they have, and get what is new; and when it returns it withdraws, whatever it answered meanwhile. Of two servers of a
// network any may go so, and nobody has to ask more than twice.
//
// What a host may answer whose authority ended meanwhile: test/e2e/guests. Times: `npm run bench -- --only failover`.

import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { bridgeOf, Cluster, type TestHost } from '../../support/cluster.js';
import { eventually } from '../../support/eventually.js';
import { uplinkOf } from '../../support/netns.js';
import { monotonicMs, QUESTIONS_BEFORE_RETRY } from '../../support/prober.js';
import { hasTool } from '../../support/tools.js';
import { FaultStage } from './fault-stage.js';

/** One server, and two. */
const [SINGLE, PAIR] = ['red', 'blue'];

/** Something that befalls a host. */
interface Fault {
  readonly name: string;
  readonly begin: (host: TestHost) => Promise<void>;
  readonly end: (host: TestHost) => Promise<void>;
  /** Whether the host goes on answering. */
  readonly answers: boolean;
}

const FAULTS: readonly Fault[] = [
  {
    name: 'loses its agent',
    begin: (host) => host.killAgent(),
    end: (host) => host.startAgent(),
    answers: false,
  },
  {
    name: 'loses the interface of one network',
    begin: ({ namespace }) => namespace.linkDown(bridgeOf(SINGLE)),
    end: ({ namespace }) => namespace.linkUp(bridgeOf(SINGLE)),
    answers: false,
  },
  { name: 'dies', begin: die, end: reboot, answers: false },
  {
    name: 'stands still',
    begin: async ({ agent }) => agent.signal('SIGSTOP'),
    end: async ({ agent }) => agent.signal('SIGCONT'),
    answers: false,
  },
  {
    name: 'is cut off',
    begin: ({ machine }) => machine.cut('both'),
    end: ({ machine }) => machine.heal(),
    answers: true,
  },
  {
    name: 'is not heard any more',
    begin: ({ machine }) => machine.cut('out'),
    end: ({ machine }) => machine.heal(),
    answers: true,
  },
  {
    name: 'hears nothing any more',
    begin: ({ machine }) => machine.cut('in'),
    end: ({ machine }) => machine.heal(),
    answers: true,
  },
];

describe.skipIf(!(await hasTool('nft')))('a host', () => {
  let stage: FaultStage;

  beforeAll(async () => {
    stage = await FaultStage.start(await Cluster.startOverNetwork(), {
      hosts: 2,
      networks: { [SINGLE]: 1, [PAIR]: 2 },
    });
  });

  afterEach(() => stage.judge());

  afterAll(() => stage[Symbol.asyncDispose]());

  test.each(FAULTS)('that $name is replaced, and withdraws when it returns', async ({ name, begin, end, answers }) => {
    const before = await stage.settled();
    const first = await stage.server(SINGLE);
    const other = stage.host(stage.hosts.find((host) => host !== first)?.hostId);
    await using single = await stage.prober(SINGLE);
    await using pair = await stage.prober(PAIR);
    await using guest = await stage.bound(await stage.reserve(SINGLE));

    const faultMs = monotonicMs();
    await begin(first);
    const moved = await eventually(`${other.hostId} serves`, async () => {
      const all = await stage.placed(SINGLE);
      return all.length === 1 && all[0]?.hostId === other.hostId && all[0];
    });
    const { answeredMs } = await single.answerSince(monotonicMs());
    if (!answers) console.log(`A host that ${name}: nobody answered for ${Math.round(answeredMs - faultMs)} ms`);
    expect(await guest.renew()).toMatchObject({ kind: 'renew' });
    await using newcomer = await stage.bound(await stage.reserve(SINGLE));
    expect(await stage.placed(PAIR)).toEqual(before.filter(({ networkId }) => networkId === PAIR));

    await end(first);
    await stage.back(first);
    await stage.mayNotAnswer(first, SINGLE);
    const after = await stage.settled();
    expect(after).toEqual([...before.filter(({ networkId }) => networkId === PAIR), moved]);
    for (const each of [guest, newcomer]) expect(await each.renew()).toMatchObject({ kind: 'renew' });
    for (const prober of [single, pair]) await prober.answerSince(monotonicMs());
    expect(pair.longestSilence()).toBeLessThan(QUESTIONS_BEFORE_RETRY);
    if (answers) expect(single.longestSilence()).toBeLessThan(QUESTIONS_BEFORE_RETRY);
    expect(await stage.settled()).toEqual(after);
    await stage.judge();
    await stage.mayAnswer(first, SINGLE);
  });
});

/** Off every wire, and everything on it dead. */
async function die(host: TestHost): Promise<void> {
  for (const networkId of [SINGLE, PAIR]) await host.namespace.linkDown(uplinkOf(bridgeOf(networkId)));
  await host.machine.cut('both');
  await host.killAgent();
}

async function reboot(host: TestHost): Promise<void> {
  for (const networkId of [SINGLE, PAIR]) await host.namespace.linkUp(uplinkOf(bridgeOf(networkId)));
  await host.machine.heal();
  await host.startAgent();
}
