/**
 * What a connection is set to when it is opened, and again when the server has forgotten it.
 */
import type { DbConfig } from "../../../DbConfig.js"
import type { Link } from "./link.js"

/** Limits as the server keeps them, in milliseconds; 0: none. */
export interface Limits {
  readonly statement: number
  readonly rowLock: number
  /** Of tables, against DDL. */
  readonly tableLock: number
}

/** What the server says when it is set up. */
export interface Facts {
  readonly id: number
  readonly version: string
  readonly database: string | null
  readonly role: string | null
  readonly limits: Limits
  readonly readOnly: boolean
  readonly maxPacket: number
}

/** A name as MySQL takes it. Not by dots, as `@effect/sql` has it: these names have no parts. */
export const quoteName = (name: string): string => `\`${name.replaceAll("`", "``")}\``

/** Bare where the server wants a number or a word, and in a form that no sql_mode reads differently where it is text. */
const literal = (value: string): string =>
  /^(?:-?\d+(?:\.\d+)?|on|off|true|false|default)$/i.test(value)
    ? value
    : /^[\w +:,./@%-]*$/.test(value)
    ? `'${value}'`
    : `_utf8mb4 X'${Buffer.from(value, "utf8").toString("hex")}'`

/** A lock is waited for in whole seconds, and 0 would mean not at all. */
const seconds = (millis: number): number => Math.max(1, Math.ceil(millis / 1000))

/** `SET` items for limits. MySQL keeps its limit for SELECT only; the driver stops other statements itself. */
const limitItems = (limits: Partial<Limits>, isMariadb: boolean): Array<string> => [
  ...(limits.statement === undefined
    ? []
    : [isMariadb ? `max_statement_time = ${limits.statement / 1000}` : `max_execution_time = ${limits.statement}`]),
  ...(limits.rowLock === undefined ? [] : [`innodb_lock_wait_timeout = ${seconds(limits.rowLock)}`]),
  ...(limits.tableLock === undefined ? [] : [`lock_wait_timeout = ${seconds(limits.tableLock)}`])
]

/** The statement that sets other limits for this connection. */
export const limitText = (limits: Limits, isMariadb: boolean): string =>
  `SET ${limitItems(limits, isMariadb).join(", ")}`

/** Whether a limit of the caller's is what the server has, which counts locks in whole seconds. */
export const sameLimits = (a: Limits, b: Limits): boolean =>
  a.statement === b.statement && seconds(a.rowLock) === seconds(b.rowLock) &&
  seconds(a.tableLock) === seconds(b.tableLock)

/** Why settings cannot be kept, or `undefined`. */
export const unsupported = (config: DbConfig): string | undefined => {
  if (config.channelBinding === "require") return "MySQL has no channel binding"
  for (const [name, value] of Object.entries(config.settings)) {
    if (!/^(?:@@)?(?:session\.)?\w+$/i.test(name)) return `"${name}" is not the name of a setting`
    const plain = name.toLowerCase().replace(/^(?:@@)?(?:session\.)?/, "")
    if (plain === "time_zone" && value !== "+00:00" && value.toUpperCase() !== "UTC") {
      return "time_zone must stay +00:00: dates are sent and read as UTC"
    }
    if (/^character_set_(?:client|connection|results)$/.test(plain) && value.toLowerCase() !== "utf8mb4") {
      return `${plain} must stay utf8mb4: text is sent and read as UTF-8`
    }
    if (plain === "autocommit" && !/^(?:1|on|true)$/i.test(value)) {
      return "autocommit must stay on: transactions are begun by Db.transaction"
    }
  }
  return undefined
}

/** Everything in one text, so that it costs one round trip. */
export const setupText = (config: DbConfig, link: Link, before: Facts | undefined): string => {
  const { mariadb: isMariadb } = link
  const hasRoles = isMariadb || link.version[0] >= 8
  const items = [
    "SET NAMES utf8mb4 COLLATE utf8mb4_unicode_ci",
    "autocommit = 1",
    "time_zone = '+00:00'",
    // What the server's administrator chose stays; a value that does not fit is refused in any case.
    "sql_mode = CONCAT_WS(',', NULLIF(@@GLOBAL.sql_mode, ''), " +
    "'STRICT_TRANS_TABLES,STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION')",
    // So that the server says when a trigger has left a variable behind.
    "session_track_state_change = ON",
    // The server drops a client that does not read for this many seconds: a slow reader of a stream is no fault.
    "net_write_timeout = 3600",
    ...limitItems({
      ...(config.limits.statementTimeout > 0 ? { statement: config.limits.statementTimeout } : {}),
      ...(config.limits.lockTimeout > 0
        ? { rowLock: config.limits.lockTimeout, tableLock: config.limits.lockTimeout }
        : {})
    }, isMariadb),
    ...Object.entries(config.settings).map(([name, value]) =>
      `${name.replace(/^(?:@@)?(?:session\.)?/i, "")} = ${literal(value)}`
    )
  ]
  const parts: Array<string> = []
  if (before !== undefined) {
    // A reset of the connection keeps these two.
    if (before.database !== null) parts.push(`USE ${quoteName(before.database)}`)
    if (hasRoles) {
      parts.push(isMariadb ? `SET ROLE ${before.role === null ? "NONE" : quoteName(before.role)}` : "SET ROLE DEFAULT")
    }
  }
  parts.push(items.join(", "))
  if (config.access === "read-only") parts.push("SET SESSION TRANSACTION READ ONLY")
  parts.push(
    "SELECT CONNECTION_ID(), VERSION(), DATABASE(), " + (hasRoles ? "CURRENT_ROLE()" : "NULL") + ", " +
      (isMariadb ? "@@max_statement_time * 1000" : "@@max_execution_time") +
      ", @@innodb_lock_wait_timeout * 1000, @@lock_wait_timeout * 1000, @@GLOBAL.read_only, @@GLOBAL.innodb_read_only, @@max_allowed_packet"
  )
  return parts.join("; ")
}

const isOff = (value: unknown): boolean => /^(?:0|off)$/i.test(String(value))

/** The answer to {@link setupText}: the row of its last statement. */
export const factsOf = (row: ReadonlyArray<unknown>): Facts => ({
  id: Number(row[0]),
  version: String(row[1]),
  database: row[2] === null ? null : String(row[2]),
  role: row[3] === null ? null : String(row[3]),
  limits: { statement: Number(row[4]), rowLock: Number(row[5]), tableLock: Number(row[6]) },
  readOnly: !isOff(row[7]) || !isOff(row[8]),
  maxPacket: Number(row[9])
})
