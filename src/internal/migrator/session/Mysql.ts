/**
 * The session of MySQL and MariaDB: variables, role, database, locked tables, temporary tables, named locks.
 */
import type * as SqlClient from "@effect/sql/SqlClient"
import type { SqlError } from "@effect/sql/SqlError"
import * as Effect from "effect/Effect"
import type { Capture, Difference } from "../SessionState.js"

/** Variables that change by themselves, or are spent by the next statement. */
const restless =
  /^(?:timestamp|insert_id|last_insert_id|identity|rand_seed[12]|error_count|warning_count|in_transaction|pseudo_.*|gtid_.*|last_gtid|.*_host|hostname|statement_id|tx_.*|transaction_isolation|transaction_read_only)$/

/** A setting of the session alone stays; these are also a setting of the session, under the names above. */
const isolation = ["tx_isolation", "transaction_isolation", "tx_read_only", "transaction_read_only"]

const name = (text: string): string => `\`${text.replaceAll("`", "``")}\``

const literal = (value: string): string =>
  /^-?\d+(?:\.\d+)?$/.test(value) ? value : `_utf8mb4 X'${Buffer.from(value, "utf8").toString("hex")}'`

interface Found {
  readonly variables: ReadonlyMap<string, string>
  /** User variables, as a literal of SQL. */
  readonly own: ReadonlyMap<string, string>
  readonly database: string | null
  readonly role: string | null
}

interface Variable {
  readonly name: string
  readonly value: string | null
}

/** The session's sql_select_limit does not hold for a SELECT that has a LIMIT. */
const all = " LIMIT 18446744073709551615"

const variables = (sql: SqlClient.SqlClient, isMariadb: boolean) =>
  isMariadb
    ? sql.unsafe<Variable>(
      "SELECT LOWER(VARIABLE_NAME) AS name, SESSION_VALUE AS value FROM information_schema.SYSTEM_VARIABLES " +
        "WHERE VARIABLE_SCOPE IN ('SESSION', 'SESSION ONLY') AND READ_ONLY = 'NO' AND SESSION_VALUE IS NOT NULL" + all
    ).unprepared
    // A variable of the server alone is refused when it is set, and no session's own.
    : sql.unsafe<Variable>(
      "SELECT LOWER(s.VARIABLE_NAME) AS name, s.VARIABLE_VALUE AS value FROM performance_schema.session_variables s" +
        all
    ).unprepared

const ownVariables = (sql: SqlClient.SqlClient, isMariadb: boolean) =>
  sql.unsafe<{ name: string; hex: string; charset: string | null; bare: unknown; value: string }>(
    (isMariadb
      ? "SELECT VARIABLE_NAME AS name, HEX(VARIABLE_VALUE) AS hex, VARIABLE_VALUE AS value, CHARACTER_SET_NAME AS charset, " +
        "VARIABLE_TYPE NOT LIKE '%CHAR%' AS bare FROM information_schema.USER_VARIABLES WHERE VARIABLE_VALUE IS NOT NULL"
      : "SELECT VARIABLE_NAME AS name, HEX(VARIABLE_VALUE) AS hex, CAST(VARIABLE_VALUE AS CHAR) AS value, 'utf8mb4' AS charset, " +
        "0 AS bare FROM performance_schema.user_variables_by_thread WHERE THREAD_ID = PS_CURRENT_THREAD_ID() " +
        "AND VARIABLE_VALUE IS NOT NULL") + all
  ).unprepared.pipe(
    // A server that does not tell them.
    Effect.orElseSucceed(() => [])
  )

const look = (sql: SqlClient.SqlClient, isMariadb: boolean, hasRoles: boolean): Effect.Effect<Found, SqlError> =>
  Effect.gen(function*() {
    const rows = yield* variables(sql, isMariadb)
    const own = yield* ownVariables(sql, isMariadb)
    const [place] = yield* sql.unsafe<{ place: string | null; role: string | null }>(
      `SELECT DATABASE() AS place, ${hasRoles ? "CURRENT_ROLE()" : "NULL"} AS role${all}`
    ).unprepared
    return {
      variables: new Map(
        rows.filter(({ name, value }) => value !== null && (!restless.test(name) || isolation.includes(name)))
          .map(({ name, value }) => [name, value!])
      ),
      own: new Map(
        own.map(({ bare, charset, hex, name, value }) => [
          name,
          Number(bare) === 1
            ? value
            : `CONVERT(_utf8mb4 X'${hex}' USING ${/^\w+$/.test(charset ?? "") ? charset : "utf8mb4"})`
        ])
      ),
      database: place!.place,
      role: place!.role
    }
  })

const differencesOf = (before: Found, now: Found, isMariadb: boolean): ReadonlyArray<Difference> => {
  const list: Array<Difference> = []
  // The character set first: as long as it is another one, nothing but SET is sent.
  for (const [variable, value] of before.variables) {
    if (now.variables.get(variable) !== value) {
      list.push({ what: `the variable ${variable}`, text: `SET SESSION ${variable} = ${literal(value)}` })
    }
  }
  for (const variable of new Set([...before.own.keys(), ...now.own.keys()])) {
    if (before.own.get(variable) !== now.own.get(variable)) {
      list.push({
        what: `the variable @${variable}`,
        text: `SET @${name(variable)} = ${before.own.get(variable) ?? "NULL"}`
      })
    }
  }
  if (before.database !== now.database) {
    // Without a database there is no way back to none.
    list.push({ what: "the database of USE", text: before.database === null ? "DO 0" : `USE ${name(before.database)}` })
  }
  if (before.role !== now.role) {
    list.push({
      what: "the role",
      text: `SET ROLE ${before.role === null || !isMariadb && before.role === "NONE" ? "NONE" : name(before.role)}`
    })
  }
  return list
}

const identifier = "(?:`(?:[^`]|``)+`|[\\w$]+)"
const temporaryTable = new RegExp(
  `\\btemporary\\s+table\\s+(?:if\\s+not\\s+exists\\s+)?(${identifier}(?:\\s*\\.\\s*${identifier})?)`,
  "gi"
)
const preparing = new RegExp(`\\bprepare\\s+(${identifier})\\s+from\\b`, "gi")
const opening = new RegExp(
  `\\bhandler\\s+(${identifier}(?:\\s*\\.\\s*${identifier})?)\\s+open(?:\\s+(?:as\\s+)?(${identifier}))?`,
  "gi"
)
const locking = /\bget_lock\s*\(\s*('(?:[^'\\]|''|\\.)*'|"(?:[^"\\]|""|\\.)*")/gi

/** What these texts may have left that the server has no table of. */
const undo = (texts: ReadonlyArray<string>): ReadonlyArray<string> => {
  const found = (pattern: RegExp) => texts.flatMap((text) => [...text.matchAll(pattern)])
  return [
    ...texts.some((text) => /\b(?:lock\s+tables?|flush)\b/i.test(text)) ? ["UNLOCK TABLES"] : [],
    ...found(opening).map((match) => `HANDLER ${match[2] ?? match[1]!} CLOSE`),
    ...found(temporaryTable).map((match) => `DROP TEMPORARY TABLE IF EXISTS ${match[1]!}`),
    ...found(preparing).map((match) => `DEALLOCATE PREPARE ${match[1]!}`),
    ...found(locking).map((match) => `DO RELEASE_LOCK(${match[1]!})`),
    ...texts.some((text) => /\btimestamp\s*:?=/i.test(text)) ? ["SET SESSION timestamp = DEFAULT"] : []
  ]
}

const charsets = ["character_set_client", "character_set_connection", "character_set_results", "collation_connection"]

export const capture: Capture = (sql) =>
  Effect.gen(function*() {
    const [row] = yield* sql.unsafe<{ version: string }>("SELECT VERSION() AS version").unprepared
    const isMariadb = /mariadb/i.test(row!.version)
    const hasRoles = isMariadb || Number(/^\d+/.exec(row!.version)?.[0]) >= 8
    const see = look(sql, isMariadb, hasRoles)
    const before = yield* see
    const setCharsets = `SET ${
      charsets.filter((one) => before.variables.has(one)).map((one) => `${one} = '${before.variables.get(one)}'`).join(
        ", "
      )
    }`
    const setsCharset = (text: string) => /\b(?:names|charset|character|collation_connection)/i.test(text)
    return {
      differences: Effect.map(see, (now) => differencesOf(before, now, isMariadb)),
      undo: (texts) => [...texts.some(setsCharset) ? [setCharsets] : [], ...undo(texts)],
      beforeRow: (texts) =>
        Effect.gen(function*() {
          // Without these the row could not be sent, would go elsewhere, or by another's right.
          if (texts.some(setsCharset)) {
            yield* sql.unsafe(setCharsets).unprepared
          }
          if (before.database !== null && texts.some((text) => /\buse\b/i.test(text))) {
            yield* sql.unsafe(`USE ${name(before.database)}`).unprepared
          }
        })
    }
  })
