// What clients of Leasehold were told, and whether it can be true: histories of reserve, release and get, judged per
// address and per MAC of a network.
//
//   H1. An operation is one attempt. A client that repeats by itself records its earlier attempts as operations of
//       unknown outcome.
//   H2. An address is free, RESERVED for one MAC, or QUARANTINED. After that it is RESERVED anew for the same MAC, or it
//       is freed: by an operation, or at any moment where that is allowed.
//   H3. A MAC holds at most one address of a network.
//   H4. A reservation id names one tenure, which begins once.
//
// Not found is what only an address and a MAC together contradict. Believed is that the others of a subnet are taken when
// it is exhausted, and that a tenure is over that is not RESERVED.

import { checkLinearizable, formatRefutation, type Model, type Operation } from './linearizability.js';

/** A promise of an address to a MAC, as answers name it. */
export interface Tenure {
  readonly reservationId: string;
  readonly address: string;
  readonly mac: string;
}

/** What was asked. */
export type ReservationInput = { readonly networkId: string } & (
  | { readonly kind: 'reserve'; readonly mac: string; readonly address: string | undefined }
  /** Of whatever is there, without an id. */
  | { readonly kind: 'release'; readonly address: string; readonly reservationId: string | undefined }
  | { readonly kind: 'get-by-mac'; readonly mac: string }
  | { readonly kind: 'get-by-address'; readonly address: string }
  /** The end of a quarantine. */
  | { readonly kind: 'free'; readonly address: string; readonly reservationId: string }
);

/** What was told, by an answer or by a refusal that names what is in the way. */
export type ReservationOutput =
  | {
      /**
       * `created`: by this reserve; `released`: QUARANTINED by this release, or before; `ended`: over before this release;
       * `freed`: by this free; `reserved` and `quarantined`: what is there.
       */
      readonly kind: 'created' | 'reserved' | 'quarantined' | 'released' | 'ended' | 'freed';
      readonly tenure: Tenure;
    }
  /** Nothing is there; of a reserve: nothing is left for the MAC. */
  | { readonly kind: 'none' };

/** One attempt of one client. */
export type ReservationOperation = Operation<ReservationInput, ReservationOutput>;

/** What may happen beside the operations. */
export interface Circumstances {
  /** Whether a quarantine may end at any moment. */
  readonly mayFree: boolean;
}

/** Every contradiction in a history, in lines for people; none when it can have happened. */
export function contradictions(
  history: readonly ReservationOperation[],
  circumstances: Circumstances,
): readonly string[] {
  const seen = new Seen(history);
  // A look that nobody saw says nothing.
  const telling = history.filter(({ input, output }) => output || !input.kind.startsWith('get'));
  const addresses = split(telling, (each) => addressesOf(each, seen));
  const macs = split(telling, (each) => macsOf(each, seen));
  return [
    ...history.filter(isMistaken).map((each) => `${each.process}: ${inWords(each)} is no answer`),
    ...mistakenIdentities(history),
    ...[...addresses].flatMap(([name, part]) =>
      judge(`Address ${name}`, part, new TenureModel('address', part, circumstances)),
    ),
    ...[...macs].flatMap(([name, part]) => judge(`MAC ${name}`, part, new TenureModel('mac', part, circumstances))),
  ];
}

function judge(subject: string, history: readonly ReservationOperation[], model: TenureModel): readonly string[] {
  const verdict = checkLinearizable(history, model);
  return verdict.ok ? [] : [`${subject}. ${formatRefutation(verdict, inWords)}`];
}

function inWords({ input, output }: ReservationOperation): string {
  const { networkId: _, ...asked } = input;
  const { reservationId = '', address = '', mac = '' } = tenureOf(output) ?? {};
  const told = [output?.kind ?? 'unknown', mac, address, reservationId];
  return `${Object.values(asked).join(' ').trim()} → ${told.join(' ').trim()}`;
}

/** Whether the answer is about something else than the question. */
function isMistaken({ input, output }: ReservationOperation): boolean {
  if (!output) return false;
  const { kind } = output;
  const tenure = tenureOf(output);
  const isOfMac = 'mac' in input && tenure?.mac === input.mac;
  const isAtAddress = 'address' in input && tenure?.address === input.address;
  switch (input.kind) {
    case 'reserve': {
      const isAnywhere = input.address === undefined;
      if (kind === 'created') return !isOfMac || !(isAnywhere || isAtAddress);
      if (kind === 'reserved') return !isOfMac && !isAtAddress;
      return kind === 'quarantined' ? isOfMac || !isAtAddress : kind !== 'none' || !isAnywhere;
    }
    case 'release': {
      const { reservationId = tenure?.reservationId } = input;
      if (kind === 'none') return reservationId !== undefined;
      return !(kind === 'released' || kind === 'ended') || !isAtAddress || tenure?.reservationId !== reservationId;
    }
    case 'get-by-mac':
      return kind !== 'none' && !(kind === 'reserved' && isOfMac);
    case 'get-by-address':
      return kind !== 'none' && !((kind === 'reserved' || kind === 'quarantined') && isAtAddress);
    case 'free':
      return kind !== 'freed' || tenure?.reservationId !== input.reservationId;
  }
}

/** Where a reservation id is not that of one tenure, or one that began twice. */
function mistakenIdentities(history: readonly ReservationOperation[]): readonly string[] {
  const names = new Map<string, string>();
  const made = new Set<string>();
  return history.flatMap(({ input, output }) => {
    const tenure = tenureOf(output);
    if (!tenure) return [];
    const { reservationId: id, mac, address } = tenure;
    const now = `${mac} at ${address} of network ${input.networkId}`;
    const before = names.get(id) ?? now;
    names.set(id, before);
    if (before !== now) return [`Reservation ${id} was ${before}, and is ${now}`];
    if (output?.kind !== 'created') return [];
    if (made.has(id)) return [`Reservation ${id} was created twice`];
    made.add(id);
    return [];
  });
}

function tenureOf(output: ReservationOutput | undefined): Tenure | undefined {
  return output?.kind === 'none' ? undefined : output?.tenure;
}

/** Which MACs and addresses were seen together. */
class Seen {
  readonly #together = new Map<string, Set<string>>();

  constructor(history: readonly ReservationOperation[]) {
    for (const { input, output } of history) {
      const tenure = tenureOf(output);
      if (!tenure) continue;
      this.#note(`${input.networkId} ${tenure.mac}`, tenure.address);
      this.#note(`${input.networkId} ${tenure.address}`, tenure.mac);
    }
  }

  /** The addresses of a MAC, or the MACs of an address. */
  with(networkId: string, name: string): Iterable<string> {
    return this.#together.get(`${networkId} ${name}`) ?? [];
  }

  #note(key: string, name: string): void {
    this.#together.set(key, (this.#together.get(key) ?? new Set()).add(name));
  }
}

/** The addresses an operation concerns. */
function addressesOf({ input, output }: ReservationOperation, seen: Seen): Iterable<string> {
  const tenure = tenureOf(output);
  if (tenure) return [tenure.address];
  if ('address' in input && input.address !== undefined) return [input.address];
  // Where nobody ever saw the MAC, it makes no difference whether it was there.
  return !output && 'mac' in input ? seen.with(input.networkId, input.mac) : [];
}

/** The MACs an operation concerns: not those that only had an address. */
function macsOf({ input, output }: ReservationOperation, seen: Seen): Iterable<string> {
  const tenure = tenureOf(output);
  if (tenure) return output?.kind === 'quarantined' || output?.kind === 'freed' ? [] : [tenure.mac];
  if ('mac' in input) return [input.mac];
  return !output && input.kind === 'release' ? seen.with(input.networkId, input.address) : [];
}

/** The operations that concern each subject, by its name. */
function split(
  history: readonly ReservationOperation[],
  subjectsOf: (operation: ReservationOperation) => Iterable<string>,
): ReadonlyMap<string, readonly ReservationOperation[]> {
  const parts = new Map<string, ReservationOperation[]>();
  for (const operation of history) {
    for (const subject of subjectsOf(operation)) {
      const name = `${subject} of network ${operation.input.networkId}`;
      const part = parts.get(name);
      if (part) part.push(operation);
      else parts.set(name, [operation]);
    }
  }
  return parts;
}

/** What an address or a MAC has. */
type State = ({ readonly kind: 'free' } | Taken) & {
  /** Hidden tenures that began: each does so once. */
  readonly begun: readonly string[];
};

interface Taken {
  readonly kind: 'reserved' | 'quarantined';
  readonly tenure: Tenure;
}

/** The tenures of an address, or of a MAC, which does not have any more what it released. */
class TenureModel implements Model<State, ReservationInput, ReservationOutput> {
  readonly initial: State = { kind: 'free', begun: [] };
  readonly #of: 'address' | 'mac';
  readonly #mayFree: boolean;
  /** Tenures that no answer made, so that an operation of unknown outcome did. */
  readonly #hidden = new Map<string, Tenure>();

  constructor(of: 'address' | 'mac', history: readonly ReservationOperation[], { mayFree }: Circumstances) {
    this.#of = of;
    this.#mayFree = mayFree;
    const tenures = history.flatMap(({ output }) => tenureOf(output) ?? []);
    for (const tenure of tenures) this.#hidden.set(tenure.reservationId, tenure);
    for (const { output } of history) if (output?.kind === 'created') this.#hidden.delete(output.tenure.reservationId);
  }

  apply(state: State, input: ReservationInput, output: ReservationOutput | undefined): readonly State[] {
    switch (output?.kind) {
      case undefined:
        return this.#unknown(state, input);
      case 'created':
        return this.#begin(state, output.tenure);
      case 'reserved':
      case 'quarantined':
        return has(state, output.kind, output.tenure) ? [state] : [];
      case 'released':
        if (has(state, 'reserved', output.tenure)) return [this.#released(state)];
        return this.#of === 'mac' || has(state, 'quarantined', output.tenure) ? [state] : [];
      case 'ended':
        return has(state, 'reserved', output.tenure) ? [] : [state];
      case 'none':
        return this.#vacant(state);
      case 'freed':
        return freed(state, output.tenure);
    }
  }

  key(state: State): string {
    const { kind, begun } = state;
    const told = kind === 'free' ? [] : [state.tenure.mac, state.tenure.address, state.tenure.reservationId];
    return [kind, ...told, ...(begun.length > 0 ? ['after', ...begun] : [])].join(' ');
  }

  /** Released once, a tenure is never RESERVED again. But where only the MAC is known, it may not have begun yet. */
  settles(_: ReservationInput, { kind }: ReservationOutput): boolean {
    return this.#of === 'address' || kind !== 'released';
  }

  #begin(state: State, tenure: Tenure): readonly State[] {
    const { reservationId: id, mac } = tenure;
    return this.#vacant(state, mac).map(({ begun }) => ({
      kind: 'reserved',
      tenure,
      begun: this.#hidden.has(id) ? [...begun, id] : begun,
    }));
  }

  /** The state with nothing there, if that can be now; `mac`: for this one. */
  #vacant(state: State, mac?: string): readonly State[] {
    if (state.kind === 'free') return [state];
    return state.kind === 'quarantined' && (this.#mayFree || state.tenure.mac === mac) ? [emptied(state)] : [];
  }

  #released(state: State & Taken): State {
    return this.#of === 'mac' ? emptied(state) : { ...state, kind: 'quarantined' };
  }

  /** What it may have done. A tenure that nobody ever saw makes no difference. */
  #unknown(state: State, input: ReservationInput): readonly State[] {
    switch (input.kind) {
      case 'reserve':
        return [...this.#hidden.values()]
          .filter(({ mac, address }) => mac === input.mac && address === (input.address ?? address))
          .filter(({ reservationId }) => !state.begun.includes(reservationId))
          .flatMap((tenure) => this.#begin(state, tenure));
      case 'release': {
        if (state.kind !== 'reserved' || state.tenure.address !== input.address) return [];
        const { reservationId } = state.tenure;
        return reservationId === (input.reservationId ?? reservationId) ? [this.#released(state)] : [];
      }
      case 'free':
        return freed(state, input);
      default:
        return [];
    }
  }
}

function has(
  state: State,
  kind: Taken['kind'],
  { reservationId }: Pick<Tenure, 'reservationId'>,
): state is State & Taken {
  return state.kind === kind && state.tenure.reservationId === reservationId;
}

function freed(state: State, named: Pick<Tenure, 'reservationId'>): readonly State[] {
  return has(state, 'quarantined', named) ? [emptied(state)] : [];
}

function emptied({ begun }: State): State {
  return { kind: 'free', begun };
}
