/**
 * URLs of databases, in the forms in use, read as options.
 *
 * Faults never repeat what the text holds beyond its scheme: in a broken URL it is not known where the password begins
 * and ends. They name the part, what is accepted, and the accepted word that comes nearest.
 */
import * as Either from "effect/Either"
import * as Redacted from "effect/Redacted"
import * as Draft from "./draft.js"
import { nearest } from "./nearest.js"
import type { Options } from "./options.js"
import { parseQuery, takeAll } from "./parameters.js"
import { parseSqlite } from "./sqliteUrl.js"
import { parseSqlServer } from "./sqlServerUrl.js"
import type { DatabaseType } from "./values.js"

const forms = "sqlite:///file.db, postgresql://user:password@host:5432/name, mysql://..., mariadb://..., " +
  "mssql://... or sqlserver://host:1433;database=..."

const schemes: Readonly<Record<string, Exclude<DatabaseType, "sqlite">>> = {
  postgresql: "postgresql",
  postgres: "postgresql",
  mysql: "mysql",
  mariadb: "mariadb",
  mssql: "mssql",
  sqlserver: "mssql"
}

/** Schemes of others, with what to write here. */
const instead: Readonly<Record<string, string>> = {
  libsql: "a server of libSQL is spoken to by @libsql/client; a file of one is opened as sqlite:///file.db",
  prisma: "it is Prisma's own; write the direct URL of the database, postgresql://... or mysql://...",
  "prisma+postgres": "it is Prisma's own; write the direct URL of the database, postgresql://...",
  cockroachdb: "write postgresql:// in its place",
  cockroach: "write postgresql:// in its place",
  redshift: "write postgresql:// in its place",
  mysqlx: "the X protocol is not supported; write mysql:// and port 3306"
}

/** `host=... port=...`, libpq's own way to write a connection; values may stand in quotes, and \\ escapes. */
const keywordStart = /^(?:host|hostaddr|port|dbname|user|password|sslmode|service|connect_timeout|application_name)\s*=/

const parseKeywords = (text: string): Draft.Draft => {
  const draft = Draft.make("postgresql")
  const pair = /([A-Za-z_]+)\s*=\s*(?:'((?:[^'\\]|\\[^])*)'|((?:[^\s'\\]|\\[^])*))(?:\s+|$)/y
  const pairs: Array<readonly [string, string]> = []
  while (pair.lastIndex < text.length) {
    const match = pair.exec(text)
    if (match === null) {
      draft.faults.push(
        "the keywords cannot be read; accepted: name=value, several separated by spaces; name='value with spaces', in which \\' is a quote"
      )
      return draft
    }
    pairs.push([match[1]!, (match[2] ?? match[3]!).replace(/\\([^])/g, "$1")])
  }
  takeAll("keyword", pairs, draft)
  return draft
}

const escapes = "in the user's name, the password and the database's name, / is written %2F, ? %3F, @ %40 and % %25"

const noEscape = "has a % that begins no escape; accepted: % is written %25"

/** `user:password@hosts/name?parameters`, after the `//`. */
const parseServer = (type: Exclude<DatabaseType, "sqlite">, rest: string): Draft.Draft => {
  const draft = Draft.make(type)
  const [, authority, path, query] = /^([^/?]*)([^?]*)(?:\?([^]*))?$/.exec(rest)!
  const at = authority!.lastIndexOf("@")
  // With the only @ further behind, what looks like host and port may be user and password.
  if (path!.includes("@") || (at < 0 && authority!.includes(":") && query?.includes("@") === true)) {
    draft.faults.push(`an @ stands behind the first / or ?; accepted: ${escapes}`)
    return draft
  }
  const userinfo = authority!.slice(0, Math.max(at, 0))
  const colon = userinfo.indexOf(":")
  const username = Draft.decode(colon < 0 ? userinfo : userinfo.slice(0, colon))
  const password = colon < 0 ? "" : Draft.decode(userinfo.slice(colon + 1))
  if (username === undefined) {
    draft.faults.push(`the user's name ${noEscape}`)
  } else if (username !== "") {
    draft.options.username = username
  }
  if (password === undefined) {
    draft.faults.push(`the password ${noEscape}`)
  } else if (password !== "") {
    draft.options.password = Redacted.make(password)
  }
  const hosts = Draft.decode(authority!.slice(at + 1))
  if (hosts === undefined) {
    draft.faults.push(`the host ${noEscape}`)
  } else if (hosts !== "") {
    Draft.parseHosts(hosts, draft)
  }
  const name = path!.slice(1)
  const database = Draft.decode(name)
  if (database === undefined) {
    draft.faults.push(`the database's name ${noEscape}`)
  } else if (name.includes("/")) {
    draft.faults.push("the path has more than one part; accepted: one name, in which / is written %2F")
  } else if (database !== "") {
    draft.options.database = database
  }
  if (query !== undefined) {
    parseQuery(query, draft)
  }
  return draft
}

/** `:memory:`, `C:\x.db`, `./x.db`, `x.sqlite`: a path rather than a URL. */
const isSqlitePath = (text: string): boolean =>
  text === ":memory:" || /^[A-Za-z]:[\\/][^@]*$/.test(text) || /^[^:@?#;=]+\.(db3?|sqlite3?)$/.test(text)

const read = (text: string): Draft.Draft | string => {
  if (text === "") {
    return `it is empty; accepted: ${forms}`
  }
  if (isSqlitePath(text)) {
    const draft = Draft.make("sqlite")
    draft.options.filename = text
    return draft
  }
  if (/^(driver|server|data source)\s*=/i.test(text)) {
    return parseSqlServer(`;${text}`, "ado")
  }
  if (/^host\s*=[^;]*;/i.test(text)) {
    return "it is a string of .NET for PostgreSQL or MySQL; accepted: the same as a URL, postgresql://user:password@host:5432/name"
  }
  if (keywordStart.test(text)) {
    return parseKeywords(text)
  }
  if (/@(?:tcp|unix)?\([^)]*\)\//.test(text)) {
    return "it is a DSN of Go's MySQL driver; accepted: the same as a URL, mysql://user:password@host:3306/name, or " +
      "mysql://user:password@localhost/name?socket=/path"
  }
  const foreign = /^([a-z+]+):\/\//i.exec(text)?.[1]?.toLowerCase()
  if (foreign !== undefined && Object.hasOwn(instead, foreign)) {
    return `the scheme "${foreign}" is not opened: ${instead[foreign]}`
  }
  const match = /^(?:jdbc:)?([A-Za-z][A-Za-z0-9]*)(?:\+[A-Za-z0-9_]+)?:([^]*)$/.exec(text)
  if (match === null) {
    return `it has no scheme; accepted: ${forms}`
  }
  const scheme = match[1]!.toLowerCase()
  const rest = match[2]!
  if (scheme === "sqlite" || scheme === "sqlite3" || scheme === "file") {
    return parseSqlite(scheme === "file", rest)
  }
  const type = Object.hasOwn(schemes, scheme) ? schemes[scheme] : undefined
  if (type === undefined) {
    const meant = nearest(scheme, ["sqlite", ...Object.keys(schemes)])
    // Without // the word may be anything, such as a user's name.
    return (rest.startsWith("//") ? `the scheme "${scheme}" is not known` : "it has no scheme that is known") +
      (meant === undefined ? "" : ` (is ${meant} meant?)`) + `; accepted: ${forms}`
  }
  if (!rest.startsWith("//")) {
    return `// is missing behind ${scheme}:; accepted: ${forms}`
  }
  const odbc = type === "mssql" ? /^[^?]*\?(?:[^]*&)?odbc_connect=([^&]*)/i.exec(rest) : null
  if (odbc !== null) {
    const settings = Draft.decode(odbc[1]!.replaceAll("+", " "))
    return settings === undefined ? `odbc_connect ${noEscape}` : parseSqlServer(`;${settings}`, "ado")
  }
  return type === "mssql" && /^[^;]*;\s*(?:[A-Za-z][\w ]*=|$)/.test(rest)
    ? parseSqlServer(rest.slice(2), "jdbc")
    : parseServer(type, rest.slice(2))
}

/** Reads a text as options, or tells everything that is wrong with it. */
export const parse = (text: string): Either.Either<Options, readonly [string, ...Array<string>]> => {
  const draft = read(text.trim())
  if (typeof draft === "string") {
    return Either.left([draft])
  }
  const options = Draft.finish(draft)
  const [first, ...others] = draft.faults
  return first === undefined ? Either.right(options) : Either.left([first, ...others])
}
