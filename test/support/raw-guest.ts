// What no client can be brought to say: single DHCP messages of any type and state. The answers are heard on the wire
// (see wiretap.ts).

import { join } from 'node:path';
import { MESSAGE_TYPE, OPTION } from '@leasehold/agent/domain/dhcp/codes';
import { type DhcpMessage, encode, MIN_MAX_BYTES } from '@leasehold/agent/domain/dhcp/message';
import { u8, u32 } from '@leasehold/agent/domain/dhcp/option-values';
import { type Ipv4, type Mac, parseIpv4 } from '@leasehold/proto/values';
import type { Nic } from './netns.js';
import { repositoryRoot } from './repository.js';

/** A message; addresses as text, without one the field is not set. */
export interface RawMessage {
  /** `bootp`: none, as before DHCP. */
  readonly type: 'discover' | 'request' | 'decline' | 'release' | 'inform' | 'bootp';
  readonly ciaddr?: string;
  /** The relay that it came by. */
  readonly giaddr?: string;
  /** Option 50. */
  readonly requested?: string;
  /** Option 54. */
  readonly server?: string;
}

const BROADCAST_FLAG = 0x8000;
const UNSET = 0 as Ipv4;

/** Broadcasts messages by the MAC of a network card, numbered from 1. */
export async function say(nic: Nic, ...messages: readonly RawMessage[]): Promise<void> {
  const program = join(repositoryRoot, 'test/dist/support/raw-guest-program.js');
  const inHex = messages.map((message, n) => {
    const { bytes } = encode(rawMessage(nic.mac as Mac, n + 1, message), MIN_MAX_BYTES);
    return bytes.toString('hex');
  });
  const { code, stderr } = await nic.namespace.run(process.execPath, [program, nic.name, ...inHex]);
  if (code !== 0) throw new Error(stderr);
}

function rawMessage(mac: Mac, xid: number, { type, ciaddr, giaddr, requested, server }: RawMessage): DhcpMessage {
  const options = new Map<number, Uint8Array>();
  if (type !== 'bootp') options.set(OPTION.messageType, u8(MESSAGE_TYPE[type]));
  if (requested !== undefined) options.set(OPTION.requestedAddress, u32(addressOf(requested)));
  if (server !== undefined) options.set(OPTION.serverId, u32(addressOf(server)));
  return {
    ...{ op: 'request', xid, flags: BROADCAST_FLAG, mac, options },
    ...{ ciaddr: addressOf(ciaddr), yiaddr: UNSET, siaddr: UNSET, giaddr: addressOf(giaddr) },
  };
}

function addressOf(text: string | undefined): Ipv4 {
  if (text === undefined) return UNSET;
  const parsed = parseIpv4(text);
  if (!parsed.ok) throw new Error(`${text} is no address`);
  return parsed.value;
}
