/**
 * Where a database is: its file, or its servers and its name on them.
 */
import * as Fs from "node:fs"
import * as Path from "node:path"
import { fromHostOption } from "./draft.js"
import type { Tell } from "./faults.js"
import { exampleOf, shown } from "./faults.js"
import type { DbConfig, Host } from "./model.js"
import { prefixed } from "./prefix.js"
import type { Values } from "./settings.js"
import { defaultPorts, settings } from "./settings.js"
import type { DatabaseType } from "./values.js"

/** The parts of a configuration that say where the database is. */
export type Address = Pick<DbConfig, "filename" | "hosts" | "database">

/** The longest name of a database, in bytes. PostgreSQL cuts what is longer, without a word. */
const longestName: Readonly<Record<Exclude<DatabaseType, "sqlite">, number>> = {
  postgresql: 63,
  mysql: 64,
  mariadb: 64,
  mssql: 128
}

const stat = (path: string): Fs.Stats | undefined => {
  try {
    return Fs.statSync(path, { throwIfNoEntry: false })
  } catch {
    // What cannot be looked at cannot be opened either; opening tells the reason.
    return undefined
  }
}

const hasSqliteExtension = (path: string): boolean => /\.(db3?|sqlite3?)$/i.test(path)

/** The path of a file that is not in memory, without the prefix: see `Options.filename`. */
const sqlitePath = (name: string, filename: string | undefined, database: string | undefined): string => {
  const base = database ?? (name === "default" ? "dblive" : name)
  const file = hasSqliteExtension(base) ? base : `${base}.db`
  if (filename === undefined) {
    return Path.resolve(file)
  }
  const found = stat(filename)
  const isFolder = /[\\/]$/.test(filename) || found?.isDirectory() === true ||
    (found === undefined && database !== undefined && !hasSqliteExtension(filename))
  return isFolder ? Path.resolve(filename, file) : Path.resolve(filename)
}

/** The database's file. */
export const fileOf = (name: string, { database, filename, prefix }: Values): Address => {
  if (filename === ":memory:") {
    return { filename, hosts: [], database: undefined }
  }
  const { base, dir, ext } = Path.parse(sqlitePath(name, filename, database))
  const prefixedBase = ext === "" ? prefixed(prefix, base) : prefixed(prefix, base.slice(0, -ext.length)) + ext
  return { filename: Path.join(dir, prefixedBase), hosts: [], database: undefined }
}

const hostsOf = (
  host: string,
  port: number | undefined,
  type: Exclude<DatabaseType, "sqlite">
): ReadonlyArray<Host> | string => {
  const draft = fromHostOption(type, host)
  return draft.faults.length > 0
    ? draft.faults.join("; ")
    : draft.hosts.map((part) => ({
      host: part.host.replace(/^\[(.*)\]$/, "$1") || "localhost",
      port: part.port ?? port ?? defaultPorts[type],
      // A port says all: the instance needs no looking up.
      instance: part.port === undefined && port === undefined ? draft.instance : undefined
    }))
}

/** The database's name on its server, with the prefix. */
const databaseOf = (name: string, { createDatabase, database, prefix }: Values, tell: Tell): string | undefined => {
  if (prefix === undefined && !createDatabase) {
    return database
  }
  const own = database ?? (name === "default" ? undefined : name)
  if (own === undefined) {
    const needing = prefix === undefined ? "createDatabase" : "prefix"
    tell("database", `is missing, and ${needing} needs one; example: ${exampleOf(name, settings.database)}`)
    return undefined
  }
  return prefixed(prefix, own)
}

/** The database's servers, and its name on them. */
export const serverOf = (
  name: string,
  type: Exclude<DatabaseType, "sqlite">,
  values: Values,
  tell: Tell
): Address => {
  const hosts = hostsOf(values.host, values.port, type)
  if (typeof hosts === "string") {
    tell("host", `${hosts}; example: ${exampleOf(name, settings.host)}`)
  }
  const database = databaseOf(name, values, tell)
  if (database !== undefined && Buffer.byteLength(database) > longestName[type]) {
    tell("database", `holds ${shown(database)}; accepted: at most ${longestName[type]} bytes, with the prefix`)
  }
  return { filename: undefined, hosts: typeof hosts === "string" ? [] : hosts, database }
}
