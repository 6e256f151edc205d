// A machine that nobody knows, or that says what no client says: single messages of every kind, in any state of a client,
// for any address. Which one is a function of chance alone.

import { MESSAGE_TYPE, OPTION } from '@leasehold/agent/domain/dhcp/codes';
import { encode, MIN_MAX_BYTES } from '@leasehold/agent/domain/dhcp/message';
import { u8, u32 } from '@leasehold/agent/domain/dhcp/option-values';
import type { Ipv4, Mac } from '@leasehold/proto/values';
import { BROADCAST_ADDRESS, dhcpFrame, type Frame, UNSET_ADDRESS } from './frames.js';
import type { Segment, Station } from './segment.js';

const TYPES = Object.values(MESSAGE_TYPE);
const BROADCAST_FLAG = 0x8000;

/** A message of any kind about one of these addresses; some are no message at all. */
export function strangeMessage(mac: Mac, addresses: readonly Ipv4[], chance: () => number): Uint8Array {
  const maybe = (share: number) => (chance() < share ? anyOf(addresses, chance) : undefined);
  const options = new Map<number, Uint8Array>();
  if (chance() < 0.95) options.set(OPTION.messageType, u8(anyOf(TYPES, chance) ?? 0));
  const [requested, server, relay] = [maybe(0.5), maybe(0.3), maybe(0.1)];
  if (requested !== undefined) options.set(OPTION.requestedAddress, u32(requested));
  if (server !== undefined) options.set(OPTION.serverId, u32(server));
  const { bytes } = encode(
    {
      ...{ op: chance() < 0.95 ? 'request' : 'reply', xid: Math.floor(chance() * 2 ** 32), mac, options },
      ...{ flags: chance() < 0.5 ? BROADCAST_FLAG : 0, ciaddr: maybe(0.4) ?? UNSET_ADDRESS, yiaddr: UNSET_ADDRESS },
      ...{ siaddr: UNSET_ADDRESS, giaddr: relay ?? UNSET_ADDRESS },
    },
    MIN_MAX_BYTES,
  );
  return chance() < 0.05 ? bytes.subarray(0, Math.floor(chance() * bytes.length)) : bytes;
}

/** A station that says such things, and counts what it is answered. */
export class Stranger implements Station {
  readonly mac: Mac;
  readonly place: string;
  answers = 0;
  readonly #segment: Segment;
  readonly #chance: () => number;

  constructor(mac: Mac, place: string, segment: Segment, chance: () => number) {
    this.mac = mac;
    this.place = place;
    this.#segment = segment;
    this.#chance = chance;
    segment.plug(this);
  }

  /** Says something about one of these addresses. */
  say(addresses: readonly Ipv4[]): void {
    const payload = strangeMessage(this.mac, addresses, this.#chance);
    const isBroadcast = this.#chance() < 0.8;
    const destinationAddress = isBroadcast ? BROADCAST_ADDRESS : (anyOf(addresses, this.#chance) ?? BROADCAST_ADDRESS);
    const destinationMac = isBroadcast ? undefined : this.#segment.resolve(destinationAddress, this);
    const parts = { sourceMac: this.mac, destinationMac, sourceAddress: UNSET_ADDRESS, destinationAddress };
    this.#segment.send(dhcpFrame({ ...parts, port: 67, payload }), this);
  }

  wants(frame: Frame): boolean {
    return frame.kind === 'dhcp' && frame.port === 68 && frame.message?.mac === this.mac;
  }

  owns(): boolean {
    return false;
  }

  receive(): void {
    this.answers++;
  }
}

function anyOf<T>(values: readonly T[], chance: () => number): T | undefined {
  return values[Math.floor(chance() * values.length)];
}
