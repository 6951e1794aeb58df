/**
 * What a pooler between the program and the server makes necessary: settings that cannot be given to a connection once
 * and for all go with each transaction instead.
 *
 * A pooler such as PgBouncer refuses startup parameters that it does not keep itself, and in its transaction mode gives
 * each transaction another process of the server.
 */
import type { DbConfig } from "../../../DbConfig.js"

/** What was learnt about a pooler, for all connections of a pool. */
export interface Learnt {
  /** Startup parameters that were refused, in lower case. */
  readonly refused: Set<string>
  /** `extra_float_digits` as the server has it by itself; `undefined`: not asked yet. */
  floatDigits: number | undefined
}

/** The statements that set what a connection could not be opened with. */
export interface Carried {
  /** Goes ahead of a statement outside of a transaction, within the same implicit one. */
  readonly single: string | undefined
  /** Go behind BEGIN. None of them is a query, so that SET TRANSACTION may still follow. */
  readonly begin: ReadonlyArray<string>
  /** Which of the program's own wishes are among them, in words; without them a statement would mean something else. */
  readonly wishes: string | undefined
}

type Parameters = Record<string, string>

/** Parameters that poolers keep per client and give to each process of the server. */
const kept: ReadonlySet<string> = new Set([
  "application_name",
  "client_encoding",
  "datestyle",
  "timezone",
  "standard_conforming_strings"
])

/** What tells a provider's proxy where to go: it is none of the server's settings. */
const routing: ReadonlySet<string> = new Set(["options"])

const limitsOf = ({ limits }: DbConfig): Parameters => {
  const parameters: Parameters = {}
  if (limits.statementTimeout > 0) parameters["statement_timeout"] = String(Math.ceil(limits.statementTimeout))
  if (limits.lockTimeout > 0) parameters["lock_timeout"] = String(Math.ceil(limits.lockTimeout))
  if (limits.idleInTransactionTimeout > 0) {
    // Later than the engine, which rolls back and keeps the connection; the server closes it.
    parameters["idle_in_transaction_session_timeout"] = String(Math.ceil(limits.idleInTransactionTimeout) + 1_000)
  }
  // Not `transaction_timeout`: it would cut transactions that were given a longer limit; the engine keeps that one.
  return parameters
}

/** From PostgreSQL 12 on any number above 0 gives floats exactly; before that only 3 does. */
const exactFloats = "3"

/**
 * The parameters that a connection is opened with. Behind a pooler in transaction mode only those that every pooler takes.
 */
export const startupParameters = (config: DbConfig, user: string, { refused }: Learnt): Readonly<Parameters> => {
  const place: Parameters = { user, database: config.database ?? user }
  for (const [name, value] of Object.entries(config.settings)) {
    if (routing.has(name.toLowerCase())) place[name] = value
  }
  const others: Parameters = config.prepare
    ? {
      application_name: config.applicationName,
      // Dates are read in this style only.
      DateStyle: "ISO",
      IntervalStyle: "postgres",
      extra_float_digits: exactFloats,
      ...limitsOf(config),
      ...config.settings,
      // Last: no setting takes it back.
      ...(config.access === "read-only" ? { default_transaction_read_only: "on" } : {})
    }
    : { application_name: config.applicationName }
  return {
    ...place,
    ...Object.fromEntries(Object.entries(others).filter(([name]) => !refused.has(name.toLowerCase())))
  }
}

const refusal = /unsupported startup parameter(?: in options)?: "?([\w.]+)"?/i

/** The parameter that a pooler refuses by this message. */
export const refusedParameter = (message: string): string | undefined => refusal.exec(message)?.[1]

/**
 * Notes a refusal, and with it all that a pooler which refuses the one will refuse as well: it names only one at a time.
 * Gives the names that are left out from now on; none where the refusal says nothing new.
 */
export const learn = (
  learnt: Learnt,
  name: string,
  sent: Readonly<Parameters>
): ReadonlyArray<string> => {
  const optional = Object.keys(sent).filter((one) => one !== "user" && one !== "database" && !routing.has(one))
  const first = optional.find((one) => one.toLowerCase() === name.toLowerCase())
  if (first === undefined) return []
  const out = optional.filter((one) => one === first || !kept.has(one.toLowerCase()))
  for (const one of out) learnt.refused.add(one.toLowerCase())
  return out
}

const literal = (text: string): string =>
  text.includes("\\") ? `E'${text.replaceAll("\\", "\\\\").replaceAll("'", "''")}'` : `'${text.replaceAll("'", "''")}'`

type Entry = readonly [name: string, value: string]

const call = ([name, value]: Entry): string => `pg_catalog.set_config(${literal(name)}, ${literal(value)}, true)`

/** Settings whose value is a list of names: SET takes each by itself, and a text would be a single one. */
const lists: ReadonlySet<string> = new Set(["search_path", "temp_tablespaces", "local_preload_libraries"])

/** The names of a list as the server reads them: in quotes as they stand, else in lower case. */
const namesOf = (list: string): ReadonlyArray<string> =>
  Array.from(
    list.matchAll(/\s*(?:"((?:[^"]|"")*)"|([^",]+?))\s*(?:,|$)/g),
    ([, quoted, bare]) => quoted?.replaceAll("\"\"", "\"") ?? bare!.toLowerCase()
  )

const quote = (name: string): string => name.split(".").map((part) => `"${part.replaceAll("\"", "\"\"")}"`).join(".")

const statement = ([name, value]: Entry): string => {
  const values = lists.has(name.toLowerCase()) ? namesOf(value).map(literal).join(",") || "''" : literal(value)
  return `SET LOCAL ${quote(name)} TO ${values}`
}

/**
 * What has to go with each transaction of a connection; `undefined` where the connection could be given all of it.
 *
 * @param reported the parameters that the server has reported of itself
 */
export const carriedOf = (
  config: DbConfig,
  { floatDigits, refused }: Learnt,
  reported: ReadonlyMap<string, string>
): Carried | undefined => {
  if (config.prepare && refused.size === 0) return undefined
  const isMissing = (name: string) => !config.prepare || refused.has(name.toLowerCase())
  const settings = Object.entries(config.settings).filter(([name]) => !routing.has(name.toLowerCase()))
  const given = new Set(settings.map(([name]) => name.toLowerCase()))
  const wishes = settings.filter(([name]) => isMissing(name))
  const single: Array<Entry> = []
  // How values are written, where the server does not write them so by itself. Intervals are read in every style.
  if (isMissing("DateStyle") && !given.has("datestyle") && reported.get("DateStyle")?.startsWith("ISO") === false) {
    single.push(["DateStyle", "ISO"])
  }
  if (isMissing("extra_float_digits") && !given.has("extra_float_digits") && (floatDigits ?? 1) < 1) {
    single.push(["extra_float_digits", exactFloats])
  }
  single.push(...wishes)
  const isReadOnly = config.access === "read-only" && isMissing("default_transaction_read_only")
  if (isReadOnly) single.push(["transaction_read_only", "on"])
  const limits = Object.entries(limitsOf(config)).filter(([name]) => isMissing(name) && !given.has(name))
  return {
    single: single.length === 0 ? undefined : `SELECT ${single.map(call).join(", ")}`,
    begin: [...single, ...limits].map(statement),
    wishes: wishes.length === 0 && !isReadOnly
      ? undefined
      : [...wishes.map(([name]) => name), ...(isReadOnly ? ["access: \"read-only\""] : [])].join(", ")
  }
}

/** Asks how floats are written. Before PostgreSQL 12 everything below 3 loses digits. */
export const floatQuestion = "SELECT CASE WHEN current_setting('server_version_num')::integer >= 120000 " +
  "THEN current_setting('extra_float_digits')::integer ELSE 0 END AS digits"
