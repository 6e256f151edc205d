// DISCOVER and REQUEST as bytes to be patched: building each anew would make the guests slower than what they measure.

import { MESSAGE_TYPE, OPTION } from '@leasehold/agent/domain/dhcp/codes';
import { u8, u32 } from '@leasehold/agent/domain/dhcp/option-values';
import type { Mac } from '@leasehold/proto/values';
import { clientMessage } from '../support/guest-socket.js';

/** Where things are in a message whose first option is 53, as those below and those of the responder. */
export const AT = {
  xid: 4,
  flags: 10,
  yiaddr: 16,
  chaddr: 28,
  messageType: 242,
  serverId: 245,
  requested: 251,
} as const;

const NOBODY = '02:00:00:00:00:00' as Mac;
const none = u32(0);

/** A DISCOVER without xid and MAC. */
export function discoverTemplate(): Buffer {
  return byBroadcast(clientMessage(NOBODY, 0, [[OPTION.messageType, u8(MESSAGE_TYPE.discover)]]));
}

/** A REQUEST of state SELECTING without xid, MAC, server and address. */
export function requestTemplate(): Buffer {
  const options = [
    [OPTION.messageType, u8(MESSAGE_TYPE.request)],
    [OPTION.serverId, none],
    [OPTION.requestedAddress, none],
  ] as const;
  return byBroadcast(clientMessage(NOBODY, 0, options));
}

// The interface of the guests has one MAC, and they have many: of answers by unicast it would hear none.
function byBroadcast(message: Buffer): Buffer {
  message.writeUInt16BE(0x8000, AT.flags);
  return message;
}
