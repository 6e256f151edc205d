import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { checkLinearizable, formatRefutation, type Model, type Operation } from './linearizability.js';

type RegisterInput = { readonly write: number } | 'read';
type RegisterOperation = Operation<RegisterInput, number>;

/** A register: a write answers what it wrote, a read what is there. */
const register: Model<number, RegisterInput, number> = {
  initial: 0,
  apply: (state, input, output) => {
    if (input !== 'read') return [input.write];
    return output === undefined || output === state ? [state] : [];
  },
  key: String,
  settles: (input) => input === 'read',
};

function write(calledMs: number, returnedMs: number, value: number): RegisterOperation {
  return { process: `c${calledMs}`, calledMs, returnedMs, input: { write: value }, output: value };
}

function read(calledMs: number, returnedMs: number, value: number): RegisterOperation {
  return { process: `c${calledMs}`, calledMs, returnedMs, input: 'read', output: value };
}

/** Of unknown outcome. */
function maybe(calledMs: number, value: number, untilMs = Infinity): RegisterOperation {
  return { ...write(calledMs, untilMs, value), output: undefined };
}

const isLinearizable = (history: readonly RegisterOperation[]) => checkLinearizable(history, register).ok;

describe('a history can have happened one by one', () => {
  test.each<[string, readonly RegisterOperation[]]>([
    ['that is empty', []],
    ['whose operations do not overlap', [write(0, 1, 7), read(2, 3, 7)]],
    ['with a read of what a write under way writes', [write(0, 9, 7), read(1, 2, 7), read(3, 4, 7)]],
    ['with a read of what was before a write under way', [write(0, 9, 7), read(1, 2, 0), read(3, 4, 7)]],
    [
      'with two writes under way, read in the order of neither call nor return',
      [write(0, 8, 7), write(1, 9, 3), read(2, 3, 3), read(4, 5, 7), read(10, 11, 7)],
    ],
    ['with a write of unknown outcome that happened', [maybe(0, 7), read(1, 2, 7)]],
    ['with one that never happened', [maybe(0, 7), read(1, 2, 0)]],
    ['with one that happened much later', [maybe(0, 7), write(1, 2, 3), read(3, 4, 3), read(5, 6, 7)]],
    ['with one that happened before its end was known', [maybe(0, 7, 4), read(1, 2, 0), read(5, 6, 7)]],
    ['with two alike that both happened', [maybe(0, 7), maybe(0, 7), read(1, 2, 7), write(3, 4, 3), read(5, 6, 7)]],
    ['with an operation called when another returns', [write(0, 1, 7), read(1, 2, 0)]],
  ])('%s', (_, history) => {
    expect(isLinearizable(history)).toBe(true);
    expect(isLinearizable(history.toReversed())).toBe(true);
  });
});

describe('a history cannot have happened', () => {
  test.each<[string, readonly RegisterOperation[]]>([
    ['with a stale read', [write(0, 1, 7), read(2, 3, 0)]],
    ['with a lost write', [write(0, 1, 7), write(2, 3, 3), read(4, 5, 7)]],
    ['with a read of the future', [read(0, 1, 7), write(2, 3, 7)]],
    ['with a write that is seen and then not', [write(0, 9, 7), read(1, 2, 7), read(3, 4, 0)]],
    [
      'with two reads that disagree on an order',
      [write(0, 9, 7), write(0, 9, 3), read(1, 2, 3), read(3, 4, 7), read(5, 6, 3)],
    ],
    ['with a value that nobody wrote', [write(0, 1, 7), read(0, 1, 3)]],
    [
      'with a write of unknown outcome that must have happened, and then not',
      [maybe(0, 7), read(1, 2, 7), read(3, 4, 0)],
    ],
    ['with one that happened twice', [maybe(0, 7), read(1, 2, 7), write(3, 4, 3), read(5, 6, 3), read(7, 8, 7)]],
    ['with one seen before its call', [read(0, 1, 7), maybe(2, 7)]],
    ['with one that happened after its end', [maybe(0, 7, 4), read(5, 6, 0), read(7, 8, 7)]],
  ])('%s', (_, history) => {
    expect(isLinearizable(history)).toBe(false);
    expect(isLinearizable(history.toReversed())).toBe(false);
  });
});

describe('a refutation', () => {
  const history = [write(0, 1, 7), read(2, 3, 7), write(4, 9, 3), read(5, 6, 3), read(7, 8, 7), read(10, 11, 3)];

  test('names the earliest return that no order explains, what was under way, and an order of what went before', () => {
    const under = write(7, 12, 5);
    const verdict = checkLinearizable([...history, under], register);
    if (verdict.ok) throw new Error('It was accepted');
    expect(verdict).toMatchObject({ refuted: history[4], beside: [under], state: '3' });
    expect(verdict.order.map(({ operation, state }) => [operation, state])).toEqual([
      [history[0], '7'],
      [history[1], '7'],
      [history[2], '3'],
      [history[3], '3'],
    ]);
  });

  test('is told in lines', () => {
    const verdict = checkLinearizable([...history, maybe(6, 5)], register);
    if (verdict.ok) throw new Error('It was accepted');
    expect(formatRefutation(verdict)).toBe(
      [
        'No order explains',
        '  7–8 c7: "read" → 7',
        'while these were under way',
        '  6– c6: {"write":5} → unknown',
        'after 4 operations, in the state 3. The last of them, and the state after each:',
        '  0–1 c0: {"write":7} → 7 | 7',
        '  2–3 c2: "read" → 7 | 7',
        '  4–9 c4: {"write":3} → 3 | 3',
        '  5–6 c5: "read" → 3 | 3',
      ].join('\n'),
    );
  });

  test('shows the last operations alone, and what made the state they begin in', () => {
    const reads = Array.from({ length: 20 }, (_, index) => read(10 + index * 2, 11 + index * 2, 3));
    const verdict = checkLinearizable([write(0, 1, 7), write(2, 3, 3), ...reads, read(60, 61, 7)], register);
    if (verdict.ok) throw new Error('It was accepted');
    const lines = formatRefutation(verdict, ({ calledMs }) => `number ${calledMs}`).split('\n');
    expect(lines.slice(1, 5)).toEqual([
      '  60–61 c60: number 60',
      'after 22 operations, in the state 3. The last of them, and the state after each:',
      '  2–3 c2: number 2 | 3',
      '  30–31 c30: number 30 | 3',
    ]);
    expect(lines).toHaveLength(14);
  });
});

type LockInput = { readonly lock: number } | { readonly unlock: number } | 'look';
type LockOperation = Operation<LockInput, number>;

/** Who has the lock after an operation, 0 when nobody, and its answer: who that is or was; negative: nothing was done. */
function step(holder: number, input: LockInput): readonly [holder: number, answer: number] {
  if (input === 'look') return [holder, holder];
  if ('lock' in input) return holder === 0 ? [input.lock, input.lock] : [holder, -holder];
  return input.unlock === holder ? [0, holder] : [holder, -1];
}

/** A lock. */
const lock: Model<number, LockInput, number> = {
  initial: 0,
  apply: (holder, input, output) => {
    const [next, answer] = step(holder, input);
    return output === undefined || output === answer ? [next] : [];
  },
  key: String,
  settles: (input, output) => input === 'look' || output < 0,
};

const [give, take] = [1, 2].map((holder) => ({ process: `c${holder}`, input: { lock: holder }, output: holder })) as [
  Pick<LockOperation, 'process' | 'input' | 'output'>,
  Pick<LockOperation, 'process' | 'input' | 'output'>,
];

test('a lock is not given twice, unless it was given back, which may be of unknown outcome', () => {
  const both = [
    { ...give, calledMs: 0, returnedMs: 5 },
    { ...take, calledMs: 1, returnedMs: 6 },
  ];
  const back = { process: 'c1', calledMs: 2, returnedMs: 4, input: { unlock: 1 }, output: 1 };
  expect(checkLinearizable(both, lock)).toMatchObject({ refuted: { process: 'c2' } });
  expect(checkLinearizable([...both, back], lock).ok).toBe(true);
  expect(checkLinearizable([...both, { ...back, returnedMs: Infinity, output: undefined }], lock).ok).toBe(true);
  expect(checkLinearizable([...both, { ...back, calledMs: 7, returnedMs: 8 }], lock).ok).toBe(false);
});

/** Whether some order fits, by trying all. */
function fitsSomehow<State, Input, Output>(
  left: readonly Operation<Input, Output>[],
  model: Model<State, Input, Output>,
  state: State,
): boolean {
  if (left.every(({ output }) => output === undefined)) return true;
  return left.some((next) => {
    const rest = left.filter((each) => each !== next);
    // Nothing that is done later may have had to be done before.
    const gone = rest.filter(({ returnedMs }) => returnedMs < next.calledMs);
    if (gone.some(({ output }) => output !== undefined)) return false;
    const open = rest.filter((each) => !gone.includes(each));
    return model.apply(state, next.input, next.output).some((after) => fitsSomehow(open, model, after));
  });
}

const anyTimes = fc.record({
  calledMs: fc.nat(8),
  lasts: fc.nat(5),
  fate: fc.constantFrom('told', 'told', 'lost', 'bounded'),
});

function anyOperation<Input, Output>(what: fc.Arbitrary<{ readonly input: Input; readonly output: Output }>) {
  return fc.tuple(what, anyTimes).map(([{ input, output }, { calledMs, lasts, fate }]): Operation<Input, Output> => {
    const returnedMs = fate === 'lost' ? Infinity : calledMs + lasts;
    return { process: 'c', calledMs, returnedMs, input, output: fate === 'told' ? output : undefined };
  });
}

const anyValue = fc.nat(2);
const anyRegisterOperation = anyOperation<RegisterInput, number>(
  fc.oneof(
    anyValue.map((output) => ({ input: 'read' as const, output })),
    anyValue.map((output) => ({ input: { write: output }, output })),
  ),
);
const anyLockOperation = anyOperation<LockInput, number>(
  fc.oneof(
    anyValue.map((output) => ({ input: 'look' as const, output })),
    fc.tuple(fc.integer({ min: 1, max: 2 }), fc.boolean()).map(([lock_, ok]) => ({
      input: { lock: lock_ },
      output: ok ? lock_ : lock_ - 3,
    })),
    fc.tuple(fc.integer({ min: 1, max: 2 }), fc.boolean()).map(([unlock, ok]) => ({
      input: { unlock },
      output: ok ? unlock : -1,
    })),
  ),
);

describe('the answer is that of trying all orders', () => {
  test('for a register', () => {
    fc.assert(
      fc.property(fc.array(anyRegisterOperation, { maxLength: 7 }), (history) => {
        expect(isLinearizable(history)).toBe(fitsSomehow(history, register, 0));
      }),
      { numRuns: 3_000 },
    );
  });

  test('for a lock', () => {
    fc.assert(
      fc.property(fc.array(anyLockOperation, { maxLength: 7 }), (history) => {
        expect(checkLinearizable(history, lock).ok).toBe(fitsSomehow(history, lock, 0));
      }),
      { numRuns: 3_000 },
    );
  });
});

/** Numbers from 0 below a bound, the same in every run. */
function sequence(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (state * 48_271) % 2_147_483_647;
    return Math.floor((state / 2_147_483_647) * below);
  };
}

/** What clients see of a lock that works: each operation takes effect somewhere within its time. */
function lockHistory(count: number, clients: number): readonly LockOperation[] {
  const random = sequence(1);
  let holder = 0;
  return Array.from({ length: count }, (_, index) => {
    const kind = random(4);
    const input = kind < 2 ? { lock: index + 1 } : kind < 3 ? { unlock: holder } : 'look';
    const [next, output] = step(holder, input);
    holder = next;
    // Half of its time before the effect and half after: as many at a time as there are clients.
    const times = { calledMs: index - random(clients), returnedMs: index + random(clients) };
    const outcome = random(50) === 0 ? { returnedMs: Infinity, output: undefined } : { output };
    return { process: `c${index % clients}`, input, ...times, ...outcome };
  });
}

describe('3,000 operations on one thing, 16 at a time,', () => {
  const history = lockHistory(3_000, 16);

  test('are accepted', () => {
    expect(checkLinearizable(history, lock).ok).toBe(true);
  });

  test('are refused with one false answer among them', () => {
    const which = history.findIndex(({ input, output }, index) => index > 2_000 && input === 'look' && output);
    const lies = history.map((each, index) => (index === which ? { ...each, output: 1 } : each));
    expect(checkLinearizable(lies, lock)).toMatchObject({ ok: false, refuted: lies[which] });
  });
});

test('a history that allows too many orders is undecided, and says so', () => {
  const writes = Array.from({ length: 24 }, (_, index) => write(0, 1, index));
  expect(() => checkLinearizable([...writes, read(2, 3, -1)], register)).toThrow('Undecided after 100000 places');
});
