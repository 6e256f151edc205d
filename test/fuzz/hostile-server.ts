// A server that answers agents with bytes: HTTP/2 that is none, gRPC in other frames, messages with values that nobody means.
//
//   H1. Each connection is one input, which ends it: a server that is connected and silent would be given a minute.
//   H2. There is no welcome in it, but where bytes were changed by chance: whoever welcomes is trusted with what follows, and
//       what comes within a session that began well is said to the agent in virtual time (fuzz-agent.ts).
//   H3. Input n of a seed is the same in every run.

import { rmSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { BinaryWriter, WireType } from '@bufbuild/protobuf/wire';
import { seededNumbers } from '../fakes/seeded-numbers.js';
import { hostileAnswer, hostileGreeting, NO_SETTINGS } from './hostile-http2.js';
import { type Chance, hostileMessage, pick } from './hostile-message.js';
import { messageType } from './wire-contract.js';

const RESPONSE = messageType('ipam.v1.SessionResponse');
const PREFACE_LENGTH = 24;
const FRAME_HEAD = 9;
const HEADERS = 1;

/** See the top of the file. */
export class HostileServer implements AsyncDisposable {
  readonly #servers: readonly Server[];
  readonly #sockets = new Set<Socket>();
  readonly #seed: number;
  #sent = 0;
  #answered = 0;

  private constructor(paths: readonly string[], seed: number) {
    this.#seed = seed;
    this.#servers = paths.map((path) => {
      // Left by a server that was killed.
      rmSync(path, { force: true });
      return createServer({ allowHalfOpen: true }, (socket) => this.#attack(socket)).listen(path);
    });
  }

  /** Listens at these paths. */
  static async listen(paths: readonly string[], seed: number): Promise<HostileServer> {
    const server = new HostileServer(paths, seed);
    const listening = server.#servers.map((each) => new Promise<void>((resolve) => each.once('listening', resolve)));
    await Promise.all(listening);
    return server;
  }

  /** How many inputs there were. */
  get sent(): number {
    return this.#sent;
  }

  /** To how many of them the agent had said what it wants. */
  get answered(): number {
    return this.#answered;
  }

  #attack(socket: Socket): void {
    const chance = seededNumbers(this.#seed + this.#sent++);
    // The first number of neighbouring seeds is alike.
    chance();
    this.#sockets.add(socket);
    socket.on('error', () => socket.destroy());
    socket.on('end', () => socket.destroy());
    socket.on('close', () => this.#sockets.delete(socket));
    if (chance() < 0.1) {
      socket.resume().end(hostileGreeting(chance));
      return;
    }
    socket.write(NO_SETTINGS);
    const messages = Array.from({ length: 1 + Math.floor(chance() * 4) }, () => hostileResponse(chance));
    const answer = hostileAnswer(messages, chance);
    let heard: Buffer = Buffer.alloc(0);
    socket.on('data', (chunk) => {
      if (socket.writableEnded) return;
      heard = Buffer.concat([heard, chunk]);
      if (!hasAsked(heard)) return;
      this.#answered++;
      socket.end(answer);
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const closed = this.#servers.map((server) => new Promise<void>((resolve) => server.close(() => resolve())));
    for (const socket of this.#sockets) socket.destroy();
    await Promise.all(closed);
  }
}

/** Whether a request is in what a client sent from its first byte on. */
function hasAsked(heard: Buffer): boolean {
  for (let at = PREFACE_LENGTH; at + FRAME_HEAD <= heard.length; at += FRAME_HEAD + heard.readUIntBE(at, 3)) {
    if (heard[at + 3] === HEADERS) return true;
  }
  return false;
}

function hostileResponse(chance: Chance): Uint8Array {
  const [first, ...others] = RESPONSE.fields.filter(({ name }) => name !== 'welcome');
  if (!first) throw new Error('SessionResponse has no fields');
  const field = pick(chance, [first, ...others]);
  if (!field.message) throw new Error('SessionResponse is made of messages');
  const inner = hostileMessage(field.message, chance);
  return new BinaryWriter().tag(field.number, WireType.LengthDelimited).bytes(inner).finish();
}
