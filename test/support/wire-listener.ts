// Hears what is said on the wire of a network, and holds it against what is promised (wire-invariants.ts).

import { join } from 'node:path';
import type { Bridge } from './netns.js';
import { WatchedProcess } from './processes.js';
import { repositoryRoot } from './repository.js';
import { type HeardAnswer, wireViolations } from './wire-invariants.js';

/** A message on the wire: a server's answer, or what a guest gave back or declined. */
export interface WireMessage extends Omit<HeardAnswer, 'kind'> {
  readonly kind: HeardAnswer['kind'] | 'release' | 'decline';
  /** Whose frame it was. */
  readonly sourceMac: string;
}

/** A running listener. */
export class WireListener implements AsyncDisposable {
  readonly #process: WatchedProcess;
  readonly #addresses = new Map<string, string[]>();
  readonly #naks = new Set<string>();

  private constructor(process: WatchedProcess) {
    this.#process = process;
  }

  /** Starts to listen; what is said from now on is heard. */
  static async start(wire: Bridge): Promise<WireListener> {
    // A bridge hears what its ports say to each other only so.
    await wire.namespace.ip(`link set ${wire.name} promisc on`);
    const { stdout } = await wire.namespace.run('cat', [`/sys/class/net/${wire.name}/ifindex`]);
    const program = join(repositoryRoot, 'test/dist/support/wire-listener-program.js');
    const args = [program, wire.name, stdout.trim()];
    const listener = new WatchedProcess(process.execPath, args, { namespace: wire.namespace });
    await listener.waitForLine('listening');
    return new WireListener(listener);
  }

  /** From now on the MAC may be told this address. */
  promise(mac: string, address: string): void {
    this.#addresses.set(mac, [...(this.#addresses.get(mac) ?? []), address]);
  }

  /** The MAC may be refused what it asks for. */
  expectNak(mac: string): void {
    this.#naks.add(mac);
  }

  /** What was heard of a MAC so far. */
  heard(mac: string): readonly WireMessage[] {
    return this.#messages().filter((message) => message.mac === mac);
  }

  /** What should not have been said so far. */
  violations(): readonly string[] {
    const answers = this.#messages().filter((each): each is WireMessage & HeardAnswer => isAnswer(each));
    return wireViolations(answers, { addresses: this.#addresses, naks: this.#naks });
  }

  #messages(): readonly WireMessage[] {
    return this.#process.lines.flatMap(({ fields }) => ('kind' in fields ? [fields as unknown as WireMessage] : []));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#process.kill();
  }
}

function isAnswer({ kind }: WireMessage): boolean {
  return kind === 'offer' || kind === 'ack' || kind === 'nak';
}
