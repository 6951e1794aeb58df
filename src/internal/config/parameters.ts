/**
 * The parameters behind the `?` (for SQL Server: also between the `;`), per family: those of the databases' own
 * clients, and those that URLs bring along from other programs.
 */
import type { Draft } from "./draft.js"
import { decode } from "./draft.js"
import { boolean, word } from "./kinds.js"
import { mysql } from "./mysqlParameters.js"
import { nearest } from "./nearest.js"
import type { Parameter } from "./parameter.js"
import { asSetting, connectionLimit, ignored, instead, millis, only, poolTimeout, seconds, take } from "./parameter.js"
import { postgresql } from "./postgresqlParameters.js"
import { mssql } from "./sqlServerParameters.js"
import type { DatabaseType } from "./values.js"

const sqliteModes = {
  ...word(["ro", "rwc", "memory"]),
  accepted: "ro, rwc, memory (for rw write rwc: the file is made where it is missing)"
}

const busyMillis = take(millis, (limit, draft) => {
  draft.limits.lockTimeout = limit
})

const sqlite: Readonly<Record<string, Parameter>> = {
  mode: take(sqliteModes, (mode, draft) => {
    if (mode === "memory") {
      draft.options.filename = ":memory:"
    } else {
      draft.options.access = mode === "ro" ? "read-only" : "read-write"
    }
  }),
  cache: only("shared", "private"),
  timeout: take(seconds, (limit, draft) => {
    draft.limits.lockTimeout = limit
  }),
  check_same_thread: take(boolean, () => {}),
  uri: take(boolean, () => {}),
  // A file that does not change may be read as any other; only that it must not be written holds.
  immutable: take(boolean, (isImmutable, draft) => {
    if (isImmutable) draft.options.access = "read-only"
  }),
  nolock: only("0"),
  psow: ignored,
  vfs: instead("nothing: the system's own way to files is taken"),
  _busy_timeout: busyMillis,
  _timeout: busyMillis,
  busy_timeout: busyMillis,
  _journal_mode: asSetting("journal_mode"),
  _journal: asSetting("journal_mode"),
  _synchronous: asSetting("synchronous"),
  _sync: asSetting("synchronous"),
  _foreign_keys: asSetting("foreign_keys"),
  _fk: asSetting("foreign_keys"),
  connection_limit: connectionLimit,
  pool_timeout: poolTimeout,
  socket_timeout: take(seconds, (limit, draft) => {
    draft.limits.lockTimeout = limit
  })
}

/** The parameters of each family. */
export const parameters: Readonly<Record<DatabaseType, Readonly<Record<string, Parameter>>>> = {
  sqlite,
  postgresql,
  mysql,
  mariadb: mysql,
  mssql
}

/** Parameters that may be given several times. */
const repeatable = new Set(["host"])

/**
 * Takes `name=value` pairs that are decoded already (`undefined`: an escape was broken). `what` names such a pair in
 * faults: "query parameter".
 */
export const takeAll = (
  what: string,
  pairs: Iterable<readonly [name: string | undefined, value: string | undefined]>,
  draft: Draft
): void => {
  const known = parameters[draft.type]
  const seen = new Set<string>()
  let index = 0
  for (const [name, value] of pairs) {
    index++
    const key = draft.type === "mssql" ? name?.toLowerCase().replace(/[\s_]/g, "") : name?.toLowerCase()
    const parameter = key !== undefined && Object.hasOwn(known, key) ? known[key] : undefined
    if (key === undefined || parameter === undefined) {
      const meant = key === undefined ? undefined : nearest(key, Object.keys(known))
      draft.faults.push(
        `${what} ${index} is not known` + (meant === undefined ? "" : ` (is ${meant} meant?)`) +
          `; accepted: ${Object.keys(known).join(", ")}`
      )
    } else if (value === undefined) {
      draft.faults.push(`${what} ${key} has a % that begins no escape; accepted: % is written %25`)
    } else if (seen.has(key) && !repeatable.has(key)) {
      draft.faults.push(`${what} ${key} is given twice; accepted: once`)
    } else {
      if (key === "host" && !seen.has(key)) {
        // A port in front of the path stays, as with libpq.
        const [first, ...others] = draft.hosts
        if (first?.port !== undefined && others.length === 0 && draft.ports.length === 0) draft.ports = [first.port]
        draft.hosts = []
      }
      seen.add(key)
      const accepted = parameter(value, draft)
      if (accepted !== undefined) {
        draft.faults.push(`${what} ${key} has a value that cannot be used; accepted: ${accepted}`)
      }
    }
  }
}

/** Takes what stands behind the `?`. */
export const parseQuery = (query: string, draft: Draft): void =>
  takeAll(
    "query parameter",
    query.split("&").filter((part) => part !== "").map((part) => {
      const equals = part.indexOf("=")
      return equals < 0 ? [decode(part), ""] : [decode(part.slice(0, equals)), decode(part.slice(equals + 1))]
    }),
    draft
  )
