/**
 * What the codes of sockets and of name resolution mean, whatever speaks through them.
 *
 * Sources: `errno` of Node's documentation (https://nodejs.org/api/os.html#error-constants) and of `getaddrinfo(3)`.
 */
import type { ConnectionReason } from "../../DbError.js"

export const socketCodes = {
  ECONNREFUSED: { link: "Refused" },
  // A unix socket: it does not exist, or it may not be opened.
  ENOENT: { link: "Refused" },
  EACCES: { link: "Refused" },
  EPERM: { link: "Refused" },
  ENOTFOUND: { link: "HostNotFound" },
  EAI_AGAIN: { link: "HostNotFound" },
  EAI_FAIL: { link: "HostNotFound" },
  EAI_NODATA: { link: "HostNotFound" },
  EAI_NONAME: { link: "HostNotFound" },
  EHOSTUNREACH: { link: "Unreachable" },
  EHOSTDOWN: { link: "Unreachable" },
  ENETUNREACH: { link: "Unreachable" },
  ENETDOWN: { link: "Unreachable" },
  EADDRNOTAVAIL: { link: "Unreachable" },
  ETIMEDOUT: { link: "Unreachable" },
  ECONNRESET: { link: "Lost" },
  ECONNABORTED: { link: "Lost" },
  EPIPE: { link: "Lost" },
  EPROTO: { link: "Tls" }
} as const satisfies Readonly<Record<string, { readonly link: ConnectionReason }>>
