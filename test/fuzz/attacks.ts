// Ways to attack a server, input by input, over its own sockets.
//
//   A1. Inputs do not wait for what comes of them: so many are under way, and the oldest is given up for a new one. So calls
//       that wait are cancelled, connections end in the middle of a message, and nothing here waits by a clock.
//   A2. What an input is depends on chance alone, not on what the server answered before, but for the epoch of a session.

import { type ClientHttp2Session, type ClientHttp2Stream, connect as connectHttp2, constants } from 'node:http2';
import { connect, type Socket } from 'node:net';
import type { DescMessage, DescMethod } from '@bufbuild/protobuf';
import { BinaryWriter, WireType } from '@bufbuild/protobuf/wire';
import { type SessionEpoch, SessionRequest, SessionResponse } from '@leasehold/proto/ipam/v1/session';
import { hostileBody, hostileConnection } from './hostile-http2.js';
import { type Chance, hostileMessage, pick } from './hostile-message.js';
import { messageType, methodsOf, pathOf } from './wire-contract.js';

/** A way to attack. */
export interface Attack {
  readonly name: string;
  /** Sends one input; resolves when there is room for the next. */
  send(chance: Chance): Promise<void>;
  /** Gives up what is under way. */
  close(): void;
}

const UNDER_WAY = 32;
// After so many a connection is left for a new one.
const PER_CONNECTION = 500;

/** Things under way, of which the oldest make room for new ones. */
class UnderWay<T> {
  readonly #all = new Set<T>();
  readonly #giveUp: (one: T) => void;

  constructor(giveUp: (one: T) => void) {
    this.#giveUp = giveUp;
  }

  add(one: T): void {
    for (const oldest of this.#all) {
      if (this.#all.size < UNDER_WAY) break;
      this.#all.delete(oldest);
      this.#giveUp(oldest);
    }
    this.#all.add(one);
  }

  done(one: T): void {
    this.#all.delete(one);
  }

  clear(): void {
    for (const one of this.#all) this.#giveUp(one);
    this.#all.clear();
  }
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
const ignore = (): void => undefined;

/** HTTP/2 connections to one socket, one at a time, each for so many streams. */
class Connection {
  readonly #path: string;
  #session: ClientHttp2Session | undefined;
  #opened = 0;

  constructor(path: string) {
    this.#path = path;
  }

  open(rpc: string): ClientHttp2Stream {
    if (this.#session && (this.#session.closed || this.#session.destroyed || this.#opened >= PER_CONNECTION)) {
      this.#session.destroy();
      this.#session = undefined;
    }
    this.#session ??= this.#dial();
    this.#opened++;
    const headers = { ':method': 'POST', ':path': rpc, 'content-type': 'application/grpc', te: 'trailers' };
    const stream = this.#session.request(headers);
    stream.on('error', ignore);
    return stream;
  }

  #dial(): ClientHttp2Session {
    this.#opened = 0;
    const session = connectHttp2('http://fuzz', { createConnection: () => connect(this.#path) });
    session.on('error', ignore);
    return session;
  }

  close(): void {
    this.#session?.destroy();
  }
}

/** Every RPC of these services, with hostile messages in hostile frames. */
export class RpcAttack implements Attack {
  readonly name = 'rpc';
  readonly #methods: readonly [DescMethod, ...DescMethod[]];
  readonly #connection: Connection;
  readonly #calls = new UnderWay<ClientHttp2Stream>((stream) => stream.close(constants.NGHTTP2_CANCEL));

  constructor(socketPath: string, services: readonly string[]) {
    const [first, ...others] = services.flatMap(methodsOf);
    if (!first) throw new Error('There is no RPC');
    this.#methods = [first, ...others];
    this.#connection = new Connection(socketPath);
  }

  async send(chance: Chance): Promise<void> {
    const method = pick(chance, this.#methods);
    const stream = this.#connection.open(pathOf(method));
    this.#calls.add(stream);
    stream.on('close', () => this.#calls.done(stream));
    stream.resume();
    stream.end(hostileBody(named(method, hostileMessage(method.input, chance), chance), chance));
    await turn();
  }

  close(): void {
    this.#calls.clear();
    this.#connection.close();
  }
}

/** A create without an id would make one more with every call: the last id of a message counts. */
function named(method: DescMethod, message: Uint8Array, chance: Chance): Uint8Array {
  if (!method.name.startsWith('Create')) return message;
  const id = new BinaryWriter()
    .tag(1, WireType.LengthDelimited)
    .string(`fuzz-${Math.floor(chance() * 4)}`)
    .finish();
  const resource = new BinaryWriter().tag(1, WireType.LengthDelimited).bytes(id).finish();
  return Buffer.concat([message, resource]);
}

/** Connections that speak HTTP/2 as nobody should. */
export class Http2Attack implements Attack {
  readonly name = 'http2';
  readonly #path: string;
  readonly #rpcs: readonly [string, ...string[]];
  readonly #sockets = new UnderWay<Socket>((socket) => socket.destroy());

  constructor(socketPath: string, services: readonly string[]) {
    this.#path = socketPath;
    this.#rpcs = ['/', ...services.flatMap(methodsOf).map(pathOf)];
  }

  async send(chance: Chance): Promise<void> {
    const socket = connect(this.#path);
    this.#sockets.add(socket);
    socket.on('error', ignore);
    socket.on('close', () => this.#sockets.done(socket));
    socket.resume();
    const bytes = hostileConnection(this.#rpcs, chance);
    if (chance() < 0.5) socket.end(bytes);
    else socket.write(bytes);
    await turn();
  }

  close(): void {
    this.#sockets.clear();
  }
}

const SESSION = '/ipam.v1.HostAgentService/Session';
const MESSAGES_PER_SESSION = 15;

/** Sessions of hosts that greet well, most of them, and then say whatever. */
export class AgentAttack implements Attack {
  readonly name = 'agent';
  readonly #connection: Connection;
  readonly #sessions = new UnderWay<HostileSession>((session) => session.close());
  #session: HostileSession | undefined;

  constructor(socketPath: string) {
    this.#connection = new Connection(socketPath);
  }

  async send(chance: Chance): Promise<void> {
    if (!this.#session?.isOpen) {
      const session = new HostileSession(this.#connection.open(SESSION));
      this.#session = session;
      this.#sessions.add(session);
      session.onClose(() => this.#sessions.done(session));
      if (chance() < 0.8) session.greet(`fuzz-${Math.floor(chance() * 4)}`, chance);
    }
    // Answers come in between.
    await turn();
    this.#session.say(chance);
  }

  close(): void {
    this.#sessions.clear();
    this.#connection.close();
  }
}

const REQUEST = messageType('ipam.v1.SessionRequest');

class HostileSession {
  readonly #stream: ClientHttp2Stream;
  #said = 0;
  #epoch: SessionEpoch | undefined;

  constructor(stream: ClientHttp2Stream) {
    this.#stream = stream;
    stream.on('data', (chunk: Buffer) => {
      this.#epoch ??= epochIn(chunk);
    });
  }

  get isOpen(): boolean {
    return !this.#stream.closed && !this.#stream.destroyed && this.#said < MESSAGES_PER_SESSION;
  }

  onClose(listener: () => void): void {
    this.#stream.on('close', listener);
  }

  greet(hostId: string, chance: Chance): void {
    const attachments = [{ networkId: pick(chance, ['fuzz-0', 'fuzz-1']), interface: 'br0', ready: true }];
    const value = { hostId, agentInstance: `${chance()}`, bootId: 'b', agentVersion: '0', backend: 'builtin' };
    const hello = SessionRequest.fromPartial({
      message: { $case: 'hello', value: { ...value, attachments, last: true } },
    });
    const message = SessionRequest.encode(hello).finish();
    const head = Buffer.alloc(5);
    head.writeUInt32BE(message.length, 1);
    this.#stream.write(Buffer.concat([head, message]));
  }

  say(chance: Chance): void {
    this.#said++;
    if (this.#stream.closed || this.#stream.destroyed) return;
    const message = chance() < 0.5 ? hostileMessage(REQUEST, chance) : this.#inSession(chance);
    this.#stream.write(hostileBody(message, chance));
    if (!this.isOpen) this.close();
  }

  /** A message that is of this session, as far as its epoch goes. */
  #inSession(chance: Chance): Uint8Array {
    const [first, ...others] = REQUEST.fields;
    if (!first) throw new Error('SessionRequest has no fields');
    const field = pick(chance, [first, ...others]);
    const type = field.message;
    if (!type) throw new Error('SessionRequest is made of messages');
    const inner = Buffer.concat([hostileMessage(type, chance), epochField(type, this.#epoch)]);
    return new BinaryWriter().tag(field.number, WireType.LengthDelimited).bytes(inner).finish();
  }

  close(): void {
    this.#stream.close(constants.NGHTTP2_CANCEL);
  }
}

function epochField(type: DescMessage, epoch: SessionEpoch | undefined): Uint8Array {
  const field = type.fields.find(({ name }) => name === 'session_epoch');
  if (!field || !epoch) return new Uint8Array();
  const value = new BinaryWriter().tag(1, WireType.Varint).uint64(epoch.holderEpoch);
  const bytes = value.tag(2, WireType.Varint).uint64(epoch.counter).finish();
  return new BinaryWriter().tag(field.number, WireType.LengthDelimited).bytes(bytes).finish();
}

/** The epoch of a welcome that fits into one chunk; undefined: it is no such thing. */
function epochIn(chunk: Buffer): SessionEpoch | undefined {
  try {
    const { message } = SessionResponse.decode(chunk.subarray(5, 5 + chunk.readUInt32BE(1)));
    return message?.$case === 'welcome' ? message.value.sessionEpoch : undefined;
  } catch {
    return undefined;
  }
}
