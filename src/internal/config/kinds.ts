/**
 * What settings accept: from a variable's text, and from a program (which may be JavaScript and give anything).
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import type { ReplicaOptions } from "./options.js"
import type { DatabaseType, Environment, Secret, SqliteModule, SslMode, TypeParsers } from "./values.js"

/** One kind of value. `accepted` ends the sentence "accepted: ...". */
export interface Kind<A> {
  readonly accepted: string
  readonly fromText: (text: string) => A | undefined
  readonly fromOption: (value: unknown) => A | undefined
  /** How a value stands in the README. A method, so that the kinds of all rows fit in one list. */
  show(value: A): string
}

const units: Record<string, number> = { ms: 1, s: 1000, min: 60_000, h: 3_600_000, d: 86_400_000 }

const spellings: Record<string, string> = Object.fromEntries(
  Object.entries({
    ms: "milli millis millisecond milliseconds",
    s: "sec secs second seconds",
    min: "m mins minute minutes",
    h: "hr hrs hour hours",
    d: "day days"
  }).flatMap(([unit, words]) => [unit, ...words.split(" ")].map((word) => [word, unit]))
)

/** In milliseconds. Beyond 2^31 - 1 a timer of Node fires at once. */
const longest = 24 * units.d!

/** Milliseconds from a text such as `10s`, `1.5 min` or `0`; `undefined` without a unit. */
const millisFromText = (text: string): number | undefined => {
  const match = /^(\d+(?:\.\d+)?)\s*([a-z]*)$/i.exec(text.trim())
  if (match === null) {
    return undefined
  }
  const value = Number(match[1])
  const unit = units[spellings[match[2]!.toLowerCase()] ?? ""]
  return unit === undefined ? (match[2] === "" && value === 0 ? 0 : undefined) : Math.round(value * unit)
}

const millisFromOption = (value: unknown): number | undefined => {
  // `Duration` turns negative numbers and NaN into zero, and zero mostly means "no limit": refuse them instead.
  if (typeof value === "number" && !(value >= 0) || typeof value === "bigint" && value < 0n) {
    return undefined
  }
  if (typeof value === "string" && (value.trim().startsWith("-") || millisFromText(value) !== undefined)) {
    return millisFromText(value)
  }
  return Option.match(Duration.decodeUnknown(value), {
    onNone: () => undefined,
    onSome: (duration) => Duration.toMillis(duration)
  })
}

/** The text of a number of milliseconds, such as `10 s`. */
const showMillis = (millis: number): string => {
  for (const unit of ["d", "h", "min", "s"]) {
    if (millis >= units[unit]! && millis % units[unit]! === 0) {
      return `${millis / units[unit]!} ${unit}`
    }
  }
  return `${millis} ms`
}

/** A length of time, decoded to milliseconds. `zero`: what 0 means; without it 0 is refused. */
export const duration = (zero?: string): Kind<number> => {
  // An infinite limit is none, where "none" can be said.
  const check = (millis: number | undefined) =>
    millis === Infinity && zero === "off"
      ? 0
      : millis !== undefined && millis <= longest && (millis > 0 || zero !== undefined)
      ? millis
      : undefined
  return {
    accepted: "a length of time with its unit (ms, s, min, h, d), at most 24 days" +
      (zero === undefined ? ", above 0" : `; 0: ${zero}`),
    fromText: (text) => check(millisFromText(text)),
    fromOption: (value) => check(millisFromOption(value)),
    show: (millis) => millis === 0 ? zero ?? "0" : showMillis(millis)
  }
}

/** A whole number. */
export const integer = (min: number, max: number): Kind<number> => {
  const check = (value: unknown) =>
    typeof value === "number" && Number.isInteger(value) && value >= min && value <= max ? value : undefined
  return {
    accepted: `a whole number from ${min} to ${max}`,
    fromText: (text) => /^\d+$/.test(text.trim()) ? check(Number(text)) : undefined,
    fromOption: check,
    show: (value) => value.toLocaleString("en")
  }
}

const booleans: Record<string, boolean> = {
  true: true,
  yes: true,
  on: true,
  1: true,
  false: false,
  no: false,
  off: false,
  0: false
}

/** Yes or no. */
export const boolean: Kind<boolean> = {
  accepted: "true or false",
  fromText: (text) => booleans[text.trim().toLowerCase()],
  fromOption: (value) => typeof value === "boolean" ? value : undefined,
  show: String
}

/** One of some words; `aliases` are other spellings in use for them. */
export const word = <A extends string>(words: ReadonlyArray<A>, aliases: Readonly<Record<string, A>> = {}): Kind<A> => {
  const find = (value: unknown): A | undefined => {
    if (typeof value !== "string") {
      return undefined
    }
    const text = value.trim().toLowerCase()
    return words.find((word) => word === text) ?? (Object.hasOwn(aliases, text) ? aliases[text] : undefined)
  }
  return { accepted: words.join(", "), fromText: find, fromOption: find, show: String }
}

/** A text that is not empty. A NUL ends a text on the wire, and what follows it would be read as something else. */
export const text = (accepted: string, check: (text: string) => boolean = () => true): Kind<string> => {
  const find = (value: unknown) =>
    typeof value === "string" && value !== "" && !value.includes("\0") && check(value) ? value : undefined
  return { accepted, fromText: find, fromOption: find, show: String }
}

/** The words of libpq for TLS, and those of other clients. */
export const sslModes: Kind<SslMode> = word(["disable", "prefer", "require", "verify-ca", "verify-full"], {
  allow: "prefer",
  "no-verify": "require",
  disabled: "disable",
  preferred: "prefer",
  required: "require",
  verify_ca: "verify-ca",
  verify_identity: "verify-full"
})

/** What may hold options of TLS; what is in it is checked where it is decoded. */
const isRecord = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === "object" && value !== null && !Array.isArray(value) && !Redacted.isRedacted(value) &&
  !Effect.isEffect(value)

/** Option `ssl`: a flag, a word, or options of TLS, which ask for it. */
export const ssl: Kind<SslMode> = {
  ...sslModes,
  accepted: `true (the same as verify-full), false (disable), ${sslModes.accepted}; in code: options of node:tls too`,
  fromText: (text) => {
    const isSet = boolean.fromText(text)
    return isSet === undefined ? sslModes.fromText(text) : isSet ? "verify-full" : "disable"
  },
  fromOption: (value) =>
    typeof value === "boolean"
      ? (value ? "verify-full" : "disable")
      : isRecord(value)
      ? (value["rejectUnauthorized"] === false ? "require" : "verify-full")
      : sslModes.fromOption(value)
}

/** The database families, and other names in use for them. */
export const types: Kind<DatabaseType> = word(["sqlite", "postgresql", "mysql", "mariadb", "mssql"], {
  sqlite3: "sqlite",
  file: "sqlite",
  postgres: "postgresql",
  pg: "postgresql",
  sqlserver: "mssql"
})

/** The environments, and other names in use for them. */
export const environments: Kind<Environment> = word(["production", "development", "test"], {
  prod: "production",
  dev: "development",
  testing: "test"
})

/** What opens SQLite files. */
export const sqliteModules: Kind<SqliteModule> = word(["auto", "better-sqlite3", "node:sqlite"])

/** Which kind of server of a group is wanted, in libpq's words. */
export const targets = word(["any", "read-write", "read-only", "primary", "standby", "prefer-standby"])

/** Names with values. */
export const pairs: Kind<Readonly<Record<string, string>>> = (() => {
  const isName = (name: string) => /^[A-Za-z_][\w.$]*$/.test(name)
  const check = (entries: ReadonlyArray<readonly [string, unknown]>) =>
    entries.every(([name, value]) => isName(name) && typeof value === "string")
  return {
    accepted: "name=value, several separated by ;",
    fromText: (text) => {
      const entries = text.split(";").map((part) => part.trim()).filter((part) => part !== "").map((part) => {
        const at = part.indexOf("=")
        return at < 1 ? ["", ""] as const : [part.slice(0, at).trim(), part.slice(at + 1).trim()] as const
      })
      return check(entries) ? Object.fromEntries(entries) : undefined
    },
    fromOption: (value) =>
      typeof value === "object" && value !== null && check(Object.entries(value))
        ? value as Readonly<Record<string, string>> // every entry was just seen to be a string
        : undefined,
    show: () => ""
  }
})()

const redacted = (value: unknown): Redacted.Redacted<string> | undefined =>
  Redacted.isRedacted(value)
    ? typeof Redacted.value(value) === "string" ? value as Redacted.Redacted<string> : undefined // just seen
    : typeof value === "string"
    ? Redacted.make(value)
    : undefined

/** A text that nothing may show. */
export const secret = (accepted: string): Kind<Redacted.Redacted<string>> => ({
  accepted,
  fromText: (text) => Redacted.make(text),
  fromOption: redacted,
  show: () => ""
})

/** URLs apart by spaces or line breaks: a comma may stand in one. */
export const replicas: Kind<ReadonlyArray<ReplicaOptions>> = {
  accepted: "URLs, apart by spaces; in code: a list of { url, pool? }",
  fromText: (text) => text.split(/\s+/).filter((url) => url !== "").map((url) => ({ url: Redacted.make(url) })),
  fromOption: (value) =>
    Array.isArray(value) && value.every((one) => isRecord(one) && redacted(one["url"]) !== undefined)
      ? value as ReadonlyArray<ReplicaOptions> // The URLs were just seen; what else is in it is checked with the replica.
      : undefined,
  show: () => ""
}

/** A password: fixed, or asked for again for every connection. */
export const password: Kind<Secret> = {
  accepted: "a text, a Redacted text, or an Effect of a Redacted text",
  fromText: (text) => Redacted.make(text),
  fromOption: (value) =>
    redacted(value) ??
      // What the effect gives is seen only when it is run.
      (Effect.isEffect(value) ? value as Effect.Effect<Redacted.Redacted<string>, unknown> : undefined),
  show: () => ""
}

/** A user's name: fixed, or asked for again for every connection. */
export const username: Kind<string | Effect.Effect<string, unknown>> = {
  accepted: "a name, or an Effect of one",
  fromText: (text) => text,
  fromOption: (value) =>
    typeof value === "string" && value !== ""
      ? value
      // What the effect gives is seen only when it is run.
      : Effect.isEffect(value)
      ? value as Effect.Effect<string, unknown>
      : undefined,
  show: String
}

/** What only a program can give. `isOf` has seen that the value is one. */
const inCode = <A>(accepted: string, isOf: (value: unknown) => value is A): Kind<A> => ({
  accepted,
  fromText: () => undefined,
  fromOption: (value) => isOf(value) ? value : undefined,
  show: () => ""
})

/** A function that renames. */
export const renaming: Kind<(name: string) => string> = inCode(
  "a function (name) => name",
  (value): value is (name: string) => string => typeof value === "function"
)

/** Attributes of spans. */
export const attributes: Kind<Readonly<Record<string, unknown>>> = inCode("an object of attributes", isRecord)

/** Parsers by the oid of a type. */
export const typeParsers: Kind<TypeParsers> = inCode(
  "{ getTypeParser: (oid, format) => parser }",
  (value): value is TypeParsers =>
    // `pg`'s own `types` is an object; a class may be a function.
    (typeof value === "object" || typeof value === "function") && value !== null && "getTypeParser" in value &&
    typeof value.getTypeParser === "function"
)
