/**
 * What parameters of URLs have in common: how a value is taken, and those that several families know.
 */
import * as Redacted from "effect/Redacted"
import type { Draft } from "./draft.js"
import { parseHosts, parsePort } from "./draft.js"
import type { Kind } from "./kinds.js"
import { duration, ssl, sslModes, word } from "./kinds.js"
import { settings } from "./settings.js"

/** Takes a parameter's value; answers with what is accepted when it is not. */
export interface Parameter {
  (value: string, draft: Draft): string | undefined
}

export const take = <A>(kind: Kind<A>, put: (value: A, draft: Draft) => void): Parameter => (value, draft) => {
  const found = kind.fromText(value)
  if (found === undefined) {
    return kind.accepted
  }
  put(found, draft)
  return undefined
}

export const any = (put: (value: string, draft: Draft) => void): Parameter => (value, draft) => {
  put(value, draft)
  return undefined
}

export const seconds: Kind<number> = {
  ...duration(),
  accepted: "a number of seconds, above 0",
  fromText: (text) => duration().fromText(`${text}s`)
}

const secondsOrNone: Kind<number> = {
  ...duration("none"),
  accepted: "a number of seconds; 0: dblive's own limit",
  fromText: (text) => duration("none").fromText(/^-\d+$/.test(text) ? "0" : `${text}s`)
}

/** PostgreSQL's own way to write a length of time: milliseconds, or a number with a unit. */
export const millis: Kind<number> = {
  ...duration("none"),
  accepted: "a number of milliseconds; 0: none",
  fromText: (text) => duration("none").fromText(/^\d+$/.test(text) ? `${text}ms` : text)
}

/** A parameter that says what is so anyway. */
export const only = (...words: ReadonlyArray<string>): Parameter => take(word(words), () => {})

export const ignored: Parameter = () => undefined

/** A parameter that is not taken, with what to write instead. */
export const instead = (what: string): Parameter => () => what

/** A parameter that becomes a setting of the session. */
export const asSetting = (name: string): Parameter =>
  any((value, draft) => {
    draft.settings[name] = value
  })

/** Prisma's word for how certificates are checked. */
export const sslAccept = take(word(["strict", "accept_invalid_certs"]), (how, draft) => {
  draft.strict = how === "strict"
})

/** Seconds that a statement may take; 0: no limit. */
export const statementSeconds = take(secondsOrNone, (limit, draft) => {
  draft.limits.statementTimeout = limit
})

/** A file of a socket. It wins over the host, as with every other client. */
export const socket: Parameter = (value, draft) => {
  if (!/^\/(?!\/)[^,@?#\0]+$/.test(value)) return "the path of a socket, which begins with /"
  draft.socket = value
  return undefined
}

export const host: Parameter = (value, draft) => {
  parseHosts(value, draft)
  return undefined
}

export const port: Parameter = (value, draft) => {
  const ports = value.split(",").map(parsePort)
  if (!ports.every((port) => port !== undefined)) {
    return "a number from 1 to 65535; for several hosts, several separated by commas"
  }
  draft.ports = ports
  return undefined
}

export const database = any((value, draft) => {
  draft.options.database = value
})
export const username = any((value, draft) => {
  draft.options.username = value
})
export const password = any((value, draft) => {
  draft.options.password = Redacted.make(value)
})
export const applicationName = any((value, draft) => {
  draft.options.applicationName = value
})
export const sslRootCert = any((value, draft) => {
  draft.options.sslRootCert = value
})
export const sslCert = any((value, draft) => {
  draft.options.sslCert = value
})
export const sslKey = any((value, draft) => {
  draft.options.sslKey = Redacted.make(value)
})
export const sslMode = take(sslModes, (mode, draft) => {
  draft.options.ssl = mode
})
export const sslFlag = take(ssl, (mode, draft) => {
  draft.options.ssl = mode
})
export const connectSeconds = take(secondsOrNone, (limit, draft) => {
  // No limit is not offered: what is said here by 0 is dblive's own.
  if (limit > 0) draft.pool.connectTimeout = limit
})
/** Prisma's figures. */
export const connectionLimit = take(settings.pool.size.kind, (size, draft) => {
  draft.pool.size = size
  draft.pool.overflow = 0
})
export const poolTimeout = take(seconds, (limit, draft) => {
  draft.pool.acquireTimeout = limit
})
