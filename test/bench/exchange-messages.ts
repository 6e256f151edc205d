// DISCOVER and REQUEST as bytes to be patched: building each anew would make the guests slower than what they measure.

import { MESSAGE_TYPE, OPTION } from '@leasehold/agent/domain/dhcp/codes';
import { u8, u32 } from '@leasehold/agent/domain/dhcp/option-values';
import type { Mac } from '@leasehold/proto/values';
import { clientMessage } from '../support/guest-socket.js';

/** Where things are in a message whose first option is 53, as those below and those of the responder. */
export const AT = { xid: 4, yiaddr: 16, chaddr: 28, messageType: 242, serverId: 245, requested: 251 } as const;

const NOBODY = '02:00:00:00:00:00' as Mac;
const none = u32(0);

/** A DISCOVER without xid and MAC. */
export function discoverTemplate(): Buffer {
  return clientMessage(NOBODY, 0, [[OPTION.messageType, u8(MESSAGE_TYPE.discover)]]);
}

/** A REQUEST of state SELECTING without xid, MAC, server and address. */
export function requestTemplate(): Buffer {
  return clientMessage(NOBODY, 0, [
    [OPTION.messageType, u8(MESSAGE_TYPE.request)],
    [OPTION.serverId, none],
    [OPTION.requestedAddress, none],
  ]);
}
