// What a wire may carry: a fold over the DHCP messages that it did carry, in order, and what the test told meanwhile.
//
//   W1. A MAC is told an address only while that is reserved for it, and no earlier address again once it was told a later
//       one; an address that was told to another MAC is not told to the first one again.
//   W2. A NAK answers a REQUEST, by a MAC with a reservation, that names this server or none (see WireExceptions), for an
//       address that was not reserved for it all the time.
//   W3. A MAC without a reservation is answered nothing.
//   W4. A host answers only between `serves` and `ended`, which the test tells when its authority is over.
//   W5. All answers carry one server identifier, and come from it.
//   W6. Every answer has its question: the same MAC and xid, and a type that it answers.
//   W7. Answers are broadcast, or sent to the address of the guest (see WireExceptions).

/** A DHCP message on a wire. Addresses and MACs as text. */
export interface CarriedMessage {
  readonly kind: 'message';
  readonly type: MessageKind;
  /** The Ethernet sender. */
  readonly sender: string;
  readonly source: string;
  readonly destination: string;
  readonly xid: number;
  readonly mac: string;
  readonly ciaddr: string;
  readonly yiaddr: string;
  /** The relay that it came by. */
  readonly relay?: string | undefined;
  /** Option 50. */
  readonly requested?: string | undefined;
  /** Option 54. */
  readonly server?: string | undefined;
}

/** Option 53, as text. */
export type MessageKind = 'discover' | 'offer' | 'request' | 'decline' | 'ack' | 'nak' | 'release' | 'inform' | 'other';

/** What the test knows. Until a change is done (`reserved`, `released`) both the old and the new may be told. */
export type WireFact =
  | {
      readonly kind: 'reserving' | 'reserved' | 'releasing' | 'released';
      readonly mac: string;
      readonly address: string;
    }
  | { readonly kind: 'serves' | 'ended'; readonly sender: string };

/** One thing after another. */
export type WireRecord = CarriedMessage | WireFact;

/** What is wrong about a message, and its number among the records. */
export interface Violation {
  readonly rule: 'W1' | 'W2' | 'W3' | 'W4' | 'W5' | 'W6' | 'W7';
  readonly at: number;
  readonly text: string;
}

/** What a backend does against the rules by its design. */
export interface WireExceptions {
  /** W2: it refuses what another server was asked for, too. */
  readonly naksForOthers: boolean;
  /** W7: a NAK to a unicast REQUEST goes to the address that it came from. */
  readonly naksByUnicast: boolean;
  /** W7: an INFORM from another address than its own is answered, to where it came from. */
  readonly informsAnywhere: boolean;
  /** W7: what came by a relay is answered, to the relay. */
  readonly answersRelays: boolean;
}

/** An address of a MAC; settled: no change of it is under way. */
interface Tenure {
  settled: boolean;
}

interface State {
  /** By MAC, then by address. */
  readonly tenures: Map<string, Map<string, Tenure>>;
  readonly serving: Set<string>;
  /** The last question of each MAC, xid and type. */
  readonly questions: Map<string, CarriedMessage>;
  /** The MAC that was told an address last, and the address that a MAC was told last. */
  readonly holders: Map<string, string>;
  readonly held: Map<string, string>;
  /** What ended by a later answer: `MAC address`. */
  readonly over: Set<string>;
  server: string | undefined;
  readonly exceptions: WireExceptions;
}

type Fault = Omit<Violation, 'at'>;

const ANSWERS: Readonly<Partial<Record<MessageKind, readonly MessageKind[]>>> = {
  offer: ['discover'],
  ack: ['request', 'inform'],
  nak: ['request'],
};
const BROADCAST = '255.255.255.255';
const UNSET = '0.0.0.0';
const NONE: WireExceptions = {
  naksForOthers: false,
  naksByUnicast: false,
  informsAnywhere: false,
  answersRelays: false,
};

/** Every breach of the rules above. */
export function checkWire(records: readonly WireRecord[], exceptions = NONE): readonly Violation[] {
  const state: State = {
    tenures: new Map(),
    serving: new Set(),
    questions: new Map(),
    holders: new Map(),
    held: new Map(),
    over: new Set(),
    server: undefined,
    exceptions,
  };
  return records.flatMap((record, at) => {
    if (record.kind !== 'message') learn(state, record);
    else if (ANSWERS[record.type]) return judge(state, record).map((fault) => ({ ...fault, at }));
    else state.questions.set(questionOf(record, record.type), record);
    return [];
  });
}

/** Which of the states of a client a REQUEST shows (RFC 2131 §4.3.2); of other messages the type. */
export function stateOf({ type, server, requested, ciaddr, destination }: CarriedMessage): string {
  if (type !== 'request') return type;
  if (server !== undefined) return 'selecting';
  if (requested !== undefined && ciaddr === UNSET) return 'init-reboot';
  return destination === BROADCAST ? 'rebinding' : 'renewing';
}

/** The address a guest asks for, or is given; undefined: none. */
export function addressOf({ type, requested, ciaddr, yiaddr }: CarriedMessage): string | undefined {
  if (type === 'offer' || type === 'ack') return yiaddr === UNSET ? undefined : yiaddr;
  return requested ?? (ciaddr === UNSET ? undefined : ciaddr);
}

function learn({ tenures, serving, over }: State, fact: WireFact): void {
  if ('sender' in fact) {
    if (fact.kind === 'serves') serving.add(fact.sender);
    else serving.delete(fact.sender);
  } else {
    const { kind, mac, address } = fact;
    const own = tenures.get(mac) ?? new Map<string, Tenure>();
    tenures.set(mac, own);
    if (kind === 'released') own.delete(address);
    else own.set(address, { settled: kind === 'reserved' });
    if (kind === 'reserving') over.delete(`${mac} ${address}`);
  }
}

function judge(state: State, answer: CarriedMessage): readonly Fault[] {
  const faults: Fault[] = [];
  const fault = (rule: Violation['rule'], text: string) => faults.push({ rule, text: `${described(answer)}: ${text}` });
  const own = state.tenures.get(answer.mac);
  const questions = (ANSWERS[answer.type] ?? []).flatMap((type) => state.questions.get(questionOf(answer, type)) ?? []);
  if (!own?.size) fault('W3', 'this MAC has no reservation');
  if (!state.serving.has(answer.sender)) fault('W4', 'this host does not serve');
  state.server ??= answer.server;
  if (answer.server === undefined || answer.server !== state.server || answer.source !== state.server) {
    fault('W5', `the server identifier is ${state.server}`);
  }
  if (questions.length === 0) fault('W6', 'nobody asked so');
  const { type, destination } = answer;
  const isBack = questions.some((question) => mayGoBack(state, question, answer));
  if (destination !== BROADCAST && !own?.has(destination) && !isBack) fault('W7', `${destination} is not its address`);
  if (type === 'nak') for (const why of uncalledFor(state, questions[0], own)) fault('W2', why);
  else for (const why of wronglyTold(state, answer, own)) fault('W1', why);
  return faults;
}

function mayGoBack(
  { exceptions }: State,
  { source, relay }: CarriedMessage,
  { type, yiaddr, destination }: CarriedMessage,
): boolean {
  if (relay !== undefined) return exceptions.answersRelays && destination === relay;
  const mayIt = type === 'nak' ? exceptions.naksByUnicast : yiaddr === UNSET && exceptions.informsAnywhere;
  return mayIt && destination === source;
}

function* uncalledFor(
  state: State,
  question: CarriedMessage | undefined,
  own: ReadonlyMap<string, Tenure> | undefined,
): Iterable<string> {
  if (!own?.size) yield 'nothing is known of this MAC';
  if (!question) return;
  if (question.server !== undefined && question.server !== state.server) {
    if (!state.exceptions.naksForOthers) yield `${question.server} was asked`;
    return;
  }
  const address = addressOf(question);
  if (address === undefined) yield 'no address was asked for';
  else if (own?.get(address)?.settled) yield `${address} is reserved for it`;
}

function* wronglyTold(
  { holders, held, over }: State,
  { mac, yiaddr }: CarriedMessage,
  own: ReadonlyMap<string, Tenure> | undefined,
): Iterable<string> {
  // To an INFORM.
  if (yiaddr === UNSET) return;
  if (own?.size && !own.has(yiaddr)) yield 'the address is not reserved for it';
  if (over.has(`${mac} ${yiaddr}`)) yield 'another address, or another MAC, has taken its place';
  const [before, holder] = [held.get(mac), holders.get(yiaddr)];
  if (before !== undefined && before !== yiaddr) over.add(`${mac} ${before}`);
  if (holder !== undefined && holder !== mac) over.add(`${holder} ${yiaddr}`);
  held.set(mac, yiaddr);
  holders.set(yiaddr, mac);
}

function questionOf({ mac, xid }: CarriedMessage, type: MessageKind): string {
  return `${mac} ${xid} ${type}`;
}

function described({ type, sender, mac, yiaddr, destination }: CarriedMessage): string {
  return `${type} ${yiaddr} by ${sender} for ${mac} to ${destination}`;
}
