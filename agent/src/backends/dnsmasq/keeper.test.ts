import { expect, test } from 'vitest';
import { VirtualClock } from '../../../../test/fakes/virtual-clock.js';
import { type Child, type ChildEvents, Keeper, LOOK_MS } from './keeper.js';
import type { KeeperMessage } from './keeper-protocol.js';

test('a process is killed at its deadline, not before, without anybody asking', async () => {
  const { keeper, clock, alive } = makeKeeper();
  const agent = connect(keeper);
  agent.receive({ do: 'start', id: 1, key: 'red', args: ['a'], untilMs: clock.now() + 10_050 });
  agent.closed();
  await clock.advance(10_049);
  expect(alive()).toEqual(['red']);
  await clock.advance(1);
  expect(alive()).toEqual([]);
});

test('after a suspend that outlasted the deadline it is killed at the next look', async () => {
  const clock = new VirtualClock();
  let suspendedMs = 0;
  const { keeper, alive } = makeKeeper({
    now: () => clock.now() + suspendedMs,
    wallTime: () => clock.wallTime(),
    after: (ms, run) => clock.after(ms, run),
  });
  connect(keeper).receive({ do: 'start', id: 1, key: 'red', args: [], untilMs: clock.now() + 60_000 });
  suspendedMs = 3_600_000;
  await clock.advance(LOOK_MS);
  expect(alive()).toEqual([]);
});

test('the agent moves the deadline, later and earlier', async () => {
  const { keeper, clock, alive } = makeKeeper();
  const agent = connect(keeper);
  agent.receive({ do: 'start', id: 1, key: 'red', args: [], untilMs: clock.now() + 1_000 });
  agent.receive({ do: 'hold', key: 'red', untilMs: clock.now() + 5_000 });
  await clock.advance(4_999);
  expect(alive()).toEqual(['red']);
  agent.receive({ do: 'hold', key: 'red', untilMs: Number.NEGATIVE_INFINITY });
  expect(alive()).toEqual([]);
});

test('a deadline that JSON cannot say is one that has passed', async () => {
  const { keeper, clock, alive } = makeKeeper();
  const agent = connect(keeper);
  agent.receive({ do: 'start', id: 1, key: 'red', args: [], untilMs: clock.now() + 1_000 });
  const said = JSON.stringify({ do: 'hold', key: 'red', untilMs: Number.NEGATIVE_INFINITY });
  agent.receive(JSON.parse(said) as Parameters<typeof agent.receive>[0]);
  expect(alive()).toEqual([]);
});

test('nothing is started without authority, nor twice', () => {
  const { keeper, clock, alive } = makeKeeper();
  const agent = connect(keeper);
  agent.receive({ do: 'start', id: 1, key: 'red', args: [], untilMs: clock.now() });
  agent.receive({ do: 'start', id: 2, key: 'red', args: [], untilMs: clock.now() + 1 });
  agent.receive({ do: 'start', id: 3, key: 'red', args: [], untilMs: clock.now() + 1 });
  expect(agent.heard.slice(1)).toEqual([
    { re: 1, problem: 'Authority has ended' },
    { re: 2, pid: 100 },
    { re: 3, problem: 'There is a dnsmasq already' },
  ]);
  expect(alive()).toEqual(['red']);
});

test('the next agent finds what runs, and hears what it says', () => {
  const { keeper, clock, say } = makeKeeper();
  const first = connect(keeper);
  first.receive({ do: 'start', id: 1, key: 'red', args: ['x', 'y'], untilMs: clock.now() + 1_000 });
  const second = connect(keeper);
  second.receive({ do: 'list', id: 7 });
  say('red', 'read /hosts');
  first.receive({ do: 'hold', key: 'red', untilMs: 0 });
  expect(second.heard.slice(1)).toEqual([
    { re: 7, servers: [{ key: 'red', pid: 100, args: ['x', 'y'] }] },
    { key: 'red', pid: 100, line: 'read /hosts' },
  ]);
});

test('an end is answered when the process is gone', () => {
  const { keeper, clock, hold } = makeKeeper();
  const agent = connect(keeper);
  agent.receive({ do: 'start', id: 1, key: 'red', args: [], untilMs: clock.now() + 1_000 });
  const release = hold();
  agent.receive({ do: 'end', id: 2, key: 'red' });
  agent.receive({ do: 'end', id: 3, key: 'blue' });
  expect(agent.heard.slice(2)).toEqual([{ re: 3, gone: true }]);
  release();
  expect(agent.heard.slice(3)).toEqual([
    { key: 'red', pid: 100, exit: 'killed' },
    { re: 2, gone: true },
  ]);
});

test('it is idle when there is neither an agent nor a process', async () => {
  const { keeper, clock, idle } = makeKeeper();
  const agent = connect(keeper);
  agent.receive({ do: 'start', id: 1, key: 'red', args: [], untilMs: clock.now() + 1_000 });
  agent.closed();
  expect(idle()).toBe(0);
  await clock.advance(1_000);
  expect(idle()).toBe(1);
});

function connect(keeper: Keeper) {
  const heard: KeeperMessage[] = [];
  return { ...keeper.connect((message) => heard.push(message)), heard };
}

function makeKeeper(clock: VirtualClock | ConstructorParameters<typeof Keeper>[0]['clock'] = new VirtualClock()) {
  const running = new Map<string, ChildEvents>();
  const waiting: (() => void)[] = [];
  let [idle, pid, isHeld] = [0, 100, false];
  const keeper = new Keeper({
    clock,
    pid: 1,
    start(key, _args, events): Child {
      running.set(key, events);
      const exit = () => {
        if (running.delete(key)) events.onExit('killed');
      };
      return { pid: pid++, kill: () => (isHeld ? waiting.push(exit) : exit()), reread: () => undefined };
    },
    onIdle: () => idle++,
  });
  return {
    keeper,
    clock: clock as VirtualClock,
    alive: () => [...running.keys()],
    idle: () => idle,
    say: (key: string, line: string) => running.get(key)?.onLine(line),
    /** Processes take their time to die, until what is returned is called. */
    hold: () => {
      isHeld = true;
      return () => {
        for (const exit of waiting) exit();
      };
    },
  };
}
