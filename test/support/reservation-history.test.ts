import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  contradictions,
  type ReservationInput,
  type ReservationOperation,
  type ReservationOutput,
  type Tenure,
} from './reservation-history.js';

const networkId = 'red';
const [M, N] = ['02:00:00:00:00:0a', '02:00:00:00:00:0b'];
const [A, B] = ['10.0.0.1', '10.0.0.2'];
const held = (reservationId: string, mac = M, address = A): Tenure => ({ reservationId, address, mac });

const reserve = (mac: string, address?: string): ReservationInput => ({ kind: 'reserve', networkId, mac, address });
const release = (reservationId?: string, address = A): ReservationInput => ({
  kind: 'release',
  networkId,
  address,
  reservationId,
});
const getMac = (mac: string): ReservationInput => ({ kind: 'get-by-mac', networkId, mac });
const getAddress = (address = A): ReservationInput => ({ kind: 'get-by-address', networkId, address });
const free = (reservationId: string, address = A): ReservationInput => ({
  kind: 'free',
  networkId,
  address,
  reservationId,
});

const created = (tenure: Tenure): ReservationOutput => ({ kind: 'created', tenure });
const isReserved = (tenure: Tenure): ReservationOutput => ({ kind: 'reserved', tenure });
const rests = (tenure: Tenure): ReservationOutput => ({ kind: 'quarantined', tenure });
const released = (tenure: Tenure): ReservationOutput => ({ kind: 'released', tenure });
const ended = (tenure: Tenure): ReservationOutput => ({ kind: 'ended', tenure });
const none: ReservationOutput = { kind: 'none' };
const freed = (tenure: Tenure): ReservationOutput => ({ kind: 'freed', tenure });
const unknown = undefined;

type Step = readonly [input: ReservationInput, output: ReservationOutput | undefined, from?: number, until?: number];

/** A history; without times, a step begins after the one before ended. */
function history(steps: readonly Step[]): readonly ReservationOperation[] {
  return steps.map(([input, output, calledMs, untilMs], index) => ({
    process: `c${index}`,
    calledMs: calledMs ?? index * 2,
    returnedMs: output ? (untilMs ?? index * 2 + 1) : Infinity,
    input,
    output,
  }));
}

const strict = { mayFree: false };
const freeing = { mayFree: true };

/** One MAC that reserved an address. */
const ONE: Step = [reserve(M), created(held('1'))];
/** And released it. */
const RELEASED: readonly Step[] = [ONE, [release('1'), released(held('1'))]];

describe('accepted is a history', () => {
  test.each<[string, readonly Step[]]>([
    [
      'of a whole life',
      [
        [getMac(M), none],
        ONE,
        [reserve(M), isReserved(held('1'))],
        [getAddress(), isReserved(held('1'))],
        [reserve(N, A), isReserved(held('1'))],
        [reserve(M, B), isReserved(held('1'))],
        [release('1'), released(held('1'))],
        [getMac(M), none],
        [getAddress(), rests(held('1'))],
        [reserve(N, A), rests(held('1'))],
        [release('1'), released(held('1'))],
        [release(), released(held('1'))],
        [reserve(M), created(held('2'))],
        [release('1'), ended(held('1'))],
        [getMac(M), isReserved(held('2'))],
        [release(), released(held('2'))],
        [free('2'), freed(held('2'))],
        [release(), none],
        [getAddress(), none],
        [reserve(N, A), created(held('3', N))],
      ],
    ],
    [
      'of two that reserve for one MAC at a time',
      [
        [reserve(M), created(held('1')), 0, 9],
        [reserve(M), isReserved(held('1')), 0, 9],
      ],
    ],
    [
      'of a MAC that moved to another address',
      [...RELEASED, [reserve(M, B), created(held('2', M, B))], [getAddress(), rests(held('1'))]],
    ],
    [
      'of two that want one address at a time',
      [
        [reserve(M, A), isReserved(held('2', N)), 0, 9],
        [reserve(N, A), created(held('2', N)), 0, 9],
      ],
    ],
    [
      'of a release, without an id, of what is only being reserved',
      [
        [reserve(M), created(held('1')), 0, 9],
        [release(), released(held('1')), 1, 2],
        [getMac(M), none, 3, 4],
      ],
    ],
    [
      'of a reserve of unknown outcome that is seen later',
      [
        [reserve(M, A), unknown],
        [getMac(M), isReserved(held('1'))],
        [reserve(M), isReserved(held('1'))],
      ],
    ],
    [
      'of one that never happened',
      [
        [reserve(M, A), unknown],
        [reserve(N, A), created(held('1', N))],
      ],
    ],
    [
      'of one that happened after a release',
      [[reserve(M, A), unknown], ...RELEASED, [getMac(M), isReserved(held('2'))]],
    ],
    [
      'of one that got an address chosen for it',
      [
        [reserve(M), unknown],
        [reserve(N, B), isReserved(held('1', M, B))],
      ],
    ],
    [
      'of one that only shows by an ended tenure',
      [...RELEASED, [reserve(M), unknown], [release('1'), ended(held('1'))]],
    ],
    [
      'of a release of unknown outcome that happened',
      [ONE, [release('1'), unknown], [getMac(M), none], [release('1'), released(held('1'))]],
    ],
    ['of one without an id', [ONE, [release(), unknown], [getMac(M), none]]],
    [
      'of one that did not happen, or late',
      [ONE, [release('1'), unknown], [getMac(M), isReserved(held('1'))], [getMac(M), none]],
    ],
    [
      'of a quarantine that perhaps was ended',
      [...RELEASED, [free('1'), unknown], [reserve(N, A), created(held('2', N))]],
    ],
    ['of a full subnet', [ONE, [reserve(N), none]]],
    ['of looks that nobody saw', [ONE, [getMac(M), unknown], [getAddress(), unknown]]],
  ])('%s', (_, steps) => {
    expect(contradictions(history(steps), strict)).toEqual([]);
    expect(contradictions(history(steps), freeing)).toEqual([]);
  });
});

describe('refused is a history', () => {
  test.each<[string, readonly Step[]]>([
    [
      'of two MACs on one address',
      [
        [reserve(M), created(held('1')), 0, 9],
        [reserve(N), created(held('2', N)), 0, 9],
      ],
    ],
    [
      'of one MAC on two addresses',
      [
        [reserve(M, A), created(held('1')), 0, 9],
        [reserve(M, B), created(held('2', M, B)), 0, 9],
      ],
    ],
    [
      'of one MAC on two addresses, by looks alone',
      [
        [getAddress(A), isReserved(held('1'))],
        [getAddress(B), isReserved(held('2', M, B))],
      ],
    ],
    [
      'of one MAC on two addresses, of unknown outcome',
      [
        [reserve(M, A), unknown],
        [reserve(M, B), unknown],
        [getAddress(A), isReserved(held('1'))],
        [getAddress(B), isReserved(held('2', M, B))],
        [getAddress(A), isReserved(held('1'))],
      ],
    ],
    ['that lost an acknowledged reserve', [ONE, [getMac(M), none]]],
    ['that lost it at the address', [ONE, [getAddress(), none]]],
    ['that lost it for another MAC', [ONE, [reserve(N, A), created(held('2', N))]]],
    ['that lost it for a release', [ONE, [release(), none]]],
    ['that lost it for the MAC itself', [ONE, [reserve(M), created(held('2', M, B))]]],
    ['that lost it for a full subnet', [ONE, [reserve(M), none]]],
    ['that lost an acknowledged release', [...RELEASED, [reserve(M), isReserved(held('1'))]]],
    ['with a stale look for a MAC', [...RELEASED, [getMac(M), isReserved(held('1'))]]],
    ['with a stale look at an address', [...RELEASED, [getAddress(), isReserved(held('1'))]]],
    ['with a stale refusal', [...RELEASED, [reserve(N, A), isReserved(held('1'))]]],
    ['with a stale refusal of another address', [...RELEASED, [reserve(M, B), isReserved(held('1'))]]],
    [
      'with a look of before a reserve',
      [ONE, [getMac(N), none], [reserve(N, B), created(held('2', N, B))], [getMac(N), none]],
    ],
    [
      'with a look of before the newest tenure',
      [...RELEASED, [reserve(M), created(held('2'))], [getAddress(), rests(held('1'))]],
    ],
    [
      'with a release that met an older tenure',
      [...RELEASED, [reserve(M), created(held('2'))], [release(), released(held('1'))]],
    ],
    [
      'with a late release of an older tenure that was obeyed',
      [...RELEASED, [reserve(M), created(held('2'))], [release('1'), unknown], [getMac(M), none]],
    ],
    ['with a tenure said to be over that goes on', [ONE, [release('1'), ended(held('1'))]]],
    [
      'with a reserve that shows after another MAC got the address',
      [
        [reserve(M, A), unknown],
        [reserve(N, A), created(held('1', N))],
        [getMac(M), isReserved(held('2'))],
      ],
    ],
    [
      'with one that shows after the MAC was given another',
      [[reserve(M), unknown], ONE, [reserve(M), isReserved(held('2', M, B))]],
    ],
    [
      'with one that happened twice',
      [
        [reserve(M), unknown],
        [getMac(M), isReserved(held('1'))],
        [release('1'), released(held('1'))],
        [getMac(M), isReserved(held('2'))],
      ],
    ],
    [
      'of a tenure that rises again',
      [
        ...RELEASED,
        [reserve(M), created(held('2'))],
        [release('2'), released(held('2'))],
        [getMac(M), isReserved(held('1'))],
      ],
    ],
    [
      'of one that does, and of unknown outcome',
      [
        [reserve(M), unknown],
        [reserve(M), unknown],
        [getMac(M), isReserved(held('1'))],
        [release('1'), released(held('1'))],
        [getMac(M), isReserved(held('1'))],
      ],
    ],
    ['of one created twice', [...RELEASED, [reserve(M), created(held('1'))]]],
    [
      'of one created for two that ask',
      [
        [reserve(M), created(held('1')), 0, 9],
        [reserve(M), created(held('1')), 0, 9],
      ],
    ],
    ['of an id that changes by itself', [ONE, [getMac(M), isReserved(held('2'))]]],
    [
      'of an id that changes while nobody was told',
      [
        [reserve(M), unknown],
        [getMac(M), isReserved(held('1'))],
        [getMac(M), isReserved(held('2'))],
      ],
    ],
    ['of an id with two addresses', [ONE, [getAddress(B), rests(held('1', M, B))]]],
    ['of an id with two MACs', [...RELEASED, [reserve(N, A), rests(held('1', '02:00:00:00:00:0c'))]]],
    ['of a tenure that nobody made', [[getMac(M), isReserved(held('1'))]]],
    ['of a repeat that is told another address', [ONE, [reserve(M), isReserved(held('1', M, B))]]],
    ['of a quarantine ended while it was RESERVED', [ONE, [free('1'), freed(held('1'))]]],
    [
      'of one of the tenure before',
      [
        ...RELEASED,
        [reserve(M), created(held('2'))],
        [release('2'), released(held('2'))],
        [free('1'), freed(held('1'))],
      ],
    ],
  ])('%s', (_, steps) => {
    expect(contradictions(history(steps), strict)).not.toEqual([]);
    expect(contradictions(history(steps), freeing)).not.toEqual([]);
  });

  test.each<[string, Step]>([
    ['another MAC than asked for', [reserve(M), created(held('1', N))]],
    ['another address than asked for', [reserve(M, B), created(held('1'))]],
    ['what is in nobody’s way', [reserve(M, B), isReserved(held('1', N))]],
    ['the rest of an address that was not asked for', [reserve(M, B), rests(held('1', N))]],
    ['the rest of its own address', [reserve(M, A), rests(held('1'))]],
    ['a full subnet, although an address was named', [reserve(M, A), none]],
    ['a reserve that released', [reserve(M, A), released(held('1'))]],
    ['a look that released', [getMac(M), released(held('1'))]],
    ['a look at another MAC', [getMac(M), isReserved(held('1', N))]],
    ['a look at another address', [getAddress(B), isReserved(held('1'))]],
    ['the rest of a MAC', [getMac(M), rests(held('1'))]],
    ['a release that created', [release('1'), created(held('1'))]],
    ['a release of another tenure', [release('1'), released(held('2'))]],
    ['a release that found nothing of what was there', [release('1'), none]],
  ])('with an answer of %s', (_, step) => {
    expect(contradictions(history([step]), freeing)).toContainEqual(expect.stringContaining('is no answer'));
  });
});

test.each<[string, readonly Step[]]>([
  ['another MAC gets the address', [[reserve(N, A), created(held('2', N))]]],
  ['the address is not found', [[getAddress(), none]]],
  [
    'another MAC gets it without anybody being told',
    [
      [reserve(N, A), unknown],
      [getMac(N), isReserved(held('2', N))],
    ],
  ],
])('that %s after a release takes an end of the quarantine', (_, steps) => {
  expect(contradictions(history([...RELEASED, ...steps]), freeing)).toEqual([]);
  expect(contradictions(history([...RELEASED, [free('1'), freed(held('1'))], ...steps]), strict)).toEqual([]);
  expect(contradictions(history([...RELEASED, ...steps]), strict)).not.toEqual([]);
});

test('networks are judged apart', () => {
  const blue = { ...reserve(M, A), networkId: 'blue' };
  expect(contradictions(history([ONE, [blue, created(held('2'))]]), strict)).toEqual([]);
  expect(contradictions(history([ONE, [blue, isReserved(held('1'))]]), strict)).not.toEqual([]);
});

test('a contradiction names the address, who was told what cannot be, and an order of what went before', () => {
  const steps: Step[] = [ONE, [reserve(N, A), created(held('2', N))]];
  expect(contradictions(history(steps), strict)).toEqual([
    [
      'Address 10.0.0.1 of network red. No order explains',
      `  2–3 c1: reserve ${N} ${A} → created ${N} ${A} 2`,
      `after 1 operations, in the state reserved ${M} ${A} 1. The last of them, and the state after each:`,
      `  0–1 c0: reserve ${M} → created ${M} ${A} 1 | reserved ${M} ${A} 1`,
    ].join('\n'),
  ]);
});

const MACS = [M, N, '02:00:00:00:00:0c', '02:00:00:00:00:0d'];
const ADDRESSES = [A, B, '10.0.0.3'];

/** Leasehold, one request at a time. */
class Sequential {
  readonly #slots = new Map<string, { readonly tenure: Tenure; readonly kind: 'reserved' | 'quarantined' }>();
  readonly #ended = new Map<string, Tenure>();
  #tenures = 0;

  /** Undefined: nothing was done, and nothing is told. */
  answer(input: ReservationInput): ReservationOutput | undefined {
    switch (input.kind) {
      case 'reserve':
        return this.#reserve(input.mac, input.address);
      case 'release':
        return this.#release(input.address, input.reservationId);
      case 'get-by-mac':
        return this.#heldBy(input.mac) ?? none;
      case 'get-by-address':
        return this.#slots.get(input.address) ?? none;
      case 'free':
        return this.#free(input.address, input.reservationId);
    }
  }

  /** What is at an address. */
  at(address: string): Tenure | undefined {
    return this.#slots.get(address)?.tenure;
  }

  #free(address: string, id: string | undefined): ReservationOutput | undefined {
    const slot = this.#slots.get(address);
    if (slot?.kind !== 'quarantined' || slot.tenure.reservationId !== id) return undefined;
    this.#ended.set(id, slot.tenure);
    this.#slots.delete(address);
    return freed(slot.tenure);
  }

  #heldBy(mac: string) {
    return [...this.#slots.values()].find(({ tenure, kind }) => tenure.mac === mac && kind === 'reserved');
  }

  #reserve(mac: string, named: string | undefined): ReservationOutput {
    const blocks = (address: string) => {
      const slot = this.#slots.get(address);
      return slot && !(slot.kind === 'quarantined' && slot.tenure.mac === mac) ? slot : undefined;
    };
    const obstacle = (named !== undefined && blocks(named)) || this.#heldBy(mac);
    if (obstacle) return obstacle;
    const address = named ?? ADDRESSES.find((each) => !blocks(each));
    if (address === undefined) return none;
    this.#free(address, this.at(address)?.reservationId);
    const tenure = held(`${++this.#tenures}`, mac, address);
    this.#slots.set(address, { tenure, kind: 'reserved' });
    return created(tenure);
  }

  #release(address: string, id: string | undefined): ReservationOutput {
    const over = id === undefined ? undefined : this.#ended.get(id);
    if (over) return ended(over);
    const tenure = this.at(address);
    if (!tenure) return none;
    this.#slots.set(address, { tenure, kind: 'quarantined' });
    return released(tenure);
  }
}

/** What a client does, and what becomes of it. */
interface Deed {
  readonly kind: ReservationInput['kind'];
  readonly mac: number;
  readonly address: number;
  readonly isNamed: boolean;
  /** How long before the moment of effect it is called, and how long after that it is answered. */
  readonly early: number;
  readonly late: number;
  /** Whether it is done and answered, done only, or not even done. */
  readonly fate: 'answered' | 'lost' | 'undone';
}

/** What clients see when their deeds take effect in this order. A free that is not recorded happens all the same. */
function played(deeds: readonly Deed[], recordsFrees: boolean): readonly ReservationOperation[] {
  const leasehold = new Sequential();
  const told: { readonly tenure: Tenure; readonly atMs: number }[] = [];
  const isAnswered = (id: string, atMs: number) =>
    told.some((each) => each.tenure.reservationId === id && each.atMs < atMs);
  return deeds.flatMap(({ kind, mac, address, isNamed, early, late, fate }, index) => {
    const [by = M, at = A] = [MACS[mac], ADDRESSES[address]];
    const calledMs = index - early;
    // Nobody names what nobody was told before.
    const known = told.findLast(({ tenure, atMs }) => tenure.address === at && atMs < calledMs)?.tenure.reservationId;
    const inputs: Record<typeof kind, ReservationInput> = {
      reserve: reserve(by, isNamed ? at : undefined),
      release: release(isNamed ? known : undefined, at),
      'get-by-mac': getMac(by),
      'get-by-address': getAddress(at),
      free: free(leasehold.at(at)?.reservationId ?? '', at),
    };
    const input = inputs[kind];
    // A free that is recorded names a tenure whose reserve was answered (test/e2e/linearizability.test.ts).
    if (input.kind === 'free' && recordsFrees && !isAnswered(input.reservationId, calledMs)) return [];
    const answer = fate === 'undone' ? undefined : leasehold.answer(input);
    if (kind === 'free' && (!recordsFrees || !answer)) return [];
    const output = fate === 'answered' ? answer : undefined;
    const returnedMs = output ? index + late : Infinity;
    if (output && output.kind !== 'none') told.push({ tenure: output.tenure, atMs: returnedMs });
    return [{ process: `c${index}`, calledMs, returnedMs, input, output }];
  });
}

const anyDeed = fc.record<Deed>({
  kind: fc.constantFrom('reserve', 'reserve', 'release', 'release', 'get-by-mac', 'get-by-address', 'free'),
  mac: fc.nat(MACS.length - 1),
  address: fc.nat(ADDRESSES.length - 1),
  isNamed: fc.boolean(),
  early: fc.nat(20).map((n) => n / 2),
  late: fc.nat(20).map((n) => n / 2),
  fate: fc.constantFrom('answered', 'answered', 'answered', 'answered', 'lost', 'undone'),
});
const anyDeeds = fc.array(anyDeed, { minLength: 10, maxLength: 60 });

test('whatever clients see of a Leasehold that works is accepted', () => {
  fc.assert(
    fc.property(anyDeeds, fc.boolean(), (deeds, recordsFrees) => {
      expect(contradictions(played(deeds, recordsFrees), { mayFree: !recordsFrees })).toEqual([]);
    }),
    { numRuns: 2_000 },
  );
});

const elsewhere = (address: string) => ADDRESSES.find((each) => each !== address) ?? B;
const otherMac = (mac: string) => MACS.find((each) => each !== mac) ?? N;

/** Answers that say something else. */
function lies(output: ReservationOutput): readonly ReservationOutput[] {
  switch (output.kind) {
    case 'none':
      return [isReserved(held('forged')), rests(held('forged')), released(held('forged'))];
    default: {
      const { kind, tenure } = output;
      const others = (['created', 'reserved', 'quarantined', 'released'] as const).filter((each) => each !== kind);
      return [
        none,
        // That a tenure is over is believed, and when released again it rests as before.
        ...others.filter((each) => kind !== 'ended' || each !== 'released').map((other) => ({ kind: other, tenure })),
        { kind, tenure: { ...tenure, reservationId: 'forged' } },
        { kind, tenure: { ...tenure, address: elsewhere(tenure.address) } },
        { kind, tenure: { ...tenure, mac: otherMac(tenure.mac) } },
      ];
    }
  }
}

test('one false answer among true ones is refused', () => {
  const looks = [
    ...MACS.map((_, mac) => ({ kind: 'get-by-mac', mac })),
    ...ADDRESSES.map((_, address) => ({ kind: 'get-by-address', address })),
  ];
  fc.assert(
    fc.property(anyDeeds, fc.nat(), fc.nat(), (deeds, which, how) => {
      // One after another, every answer known, and all looked at in the end: there is one order, and it shows everything.
      const apart = { early: 0, late: 0.5, fate: 'answered' } as const;
      const last = { mac: 0, address: 0, isNamed: false };
      const truth = played(
        [...deeds, ...looks.map((look) => ({ ...last, ...look }) as Deed)].map((deed) => ({ ...deed, ...apart })),
        true,
      );
      expect(contradictions(truth, strict)).toEqual([]);
      const lied = truth.map((operation, index) => {
        if (!operation.output || index !== which % truth.length) return operation;
        const choice = lies(operation.output);
        return { ...operation, output: choice[how % choice.length] };
      });
      expect(contradictions(lied, strict)).not.toEqual([]);
    }),
    { numRuns: 2_000 },
  );
});

describe('10,000 operations of 16 clients on a handful of addresses', () => {
  const draw = fc.sample(anyDeed, { numRuns: 10_000, seed: 1 });
  const crowd = played(
    draw.map((deed, index) => ({ ...deed, fate: index % 100 === 0 ? deed.fate : 'answered' })),
    true,
  );

  test('are accepted', () => {
    expect(contradictions(crowd, strict)).toEqual([]);
  });

  test('are refused with one stale look among them', () => {
    const at = crowd.findIndex(
      ({ input, output }, index) => index > 8_000 && input.kind === 'get-by-mac' && output?.kind === 'none',
    );
    const stale = crowd.findLast(({ output }, index) => index < at - 500 && output?.kind === 'created')?.output;
    const tenure = stale?.kind === 'created' ? stale.tenure : held('');
    const lied = crowd.map((each, index) =>
      index === at ? { ...each, input: getMac(tenure.mac), output: isReserved(tenure) } : each,
    );
    expect(contradictions(lied, strict)).toEqual([expect.stringContaining('Address'), expect.stringContaining('MAC')]);
  });
});
