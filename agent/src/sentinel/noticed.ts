// What of the things heard does not fit the table of a network: a pure function.
//
//   N1. Only a MAC's own message to our servers is taken for its DECLINE or RELEASE.
//   N2. Our own servers are never foreign: all of a network have the same service address.

import { ConflictKind } from '@leasehold/proto/ipam/v1/reservation';
import type { Ipv4, Mac } from '@leasehold/proto/values';
import { MESSAGE_TYPE, OPTION } from '../domain/dhcp/codes.js';
import type { DhcpMessage } from '../domain/dhcp/message.js';
import { readAddress } from '../domain/dhcp/option-values.js';
import type { Entry, NetworkTable } from '../domain/table.js';
import type { Heard } from './frames.js';

/** Something that does not fit. */
export type Noticed =
  | { readonly kind: 'sighting'; readonly conflict: ConflictKind; readonly entry: Entry; readonly sourceMac: Mac }
  /** `mac` undefined: it was named, and not heard itself. */
  | { readonly kind: 'foreign-server'; readonly address: Ipv4; readonly mac: Mac | undefined };

/** What does not fit, if anything. */
export function noticedIn(heard: Heard, table: NetworkTable): Noticed | undefined {
  if (heard.kind === 'arp') {
    const entry = table.at(heard.address);
    if (!entry || entry.mac === heard.sourceMac) return undefined;
    return { kind: 'sighting', conflict: ConflictKind.ADDRESS_IN_USE, entry, sourceMac: heard.sourceMac };
  }
  const { message, sourceMac } = heard;
  return message.op === 'reply' ? inReply(message, sourceMac, table) : inRequest(message, sourceMac, table);
}

function inReply(message: DhcpMessage, sourceMac: Mac, { serviceAddress }: NetworkTable): Noticed | undefined {
  const address = addressIn(message, OPTION.serverId);
  if (serviceAddress === undefined || address === undefined || address === serviceAddress) return undefined;
  return { kind: 'foreign-server', address, mac: sourceMac };
}

function inRequest(message: DhcpMessage, sourceMac: Mac, table: NetworkTable): Noticed | undefined {
  const { serviceAddress } = table;
  const server = addressIn(message, OPTION.serverId);
  if (serviceAddress === undefined || server === undefined || message.giaddr !== 0) return undefined;
  const type = message.options.get(OPTION.messageType)?.[0];
  if (server !== serviceAddress) {
    return type === MESSAGE_TYPE.request ? { kind: 'foreign-server', address: server, mac: undefined } : undefined;
  }
  const entry = table.findByMac(message.mac)?.entry;
  if (!entry || sourceMac !== message.mac) return undefined;
  const declines = type === MESSAGE_TYPE.decline && addressIn(message, OPTION.requestedAddress) === entry.address;
  if (declines) return { kind: 'sighting', conflict: ConflictKind.DECLINED, entry, sourceMac };
  const releases = type === MESSAGE_TYPE.release && message.ciaddr === entry.address;
  return releases ? { kind: 'sighting', conflict: ConflictKind.RELEASED, entry, sourceMac } : undefined;
}

function addressIn({ options }: DhcpMessage, code: number): Ipv4 | undefined {
  const address = readAddress(options.get(code));
  return address === 0 ? undefined : address;
}
