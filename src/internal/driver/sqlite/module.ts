/**
 * Which module opens SQLite files: the package `better-sqlite3`, or Node's own `node:sqlite`. Both are used through the few
 * operations that stand here, so that there is one driver.
 *
 * Nothing of either is loaded before a database is opened, and `better-sqlite3` not before it is known that this Node can
 * run the installed version: a pair that does not fit ends the process, and no error can be caught.
 */
import * as Fs from "node:fs"
import { createRequire } from "node:module"
import type { SqliteModule } from "../../../DbConfig.js"
import type { Fault } from "./codes.js"
import { codeOf, connectionFault } from "./codes.js"
import type { Constructor, Loaded } from "./moduleContract.js"
import * as NodeSqlite from "./nodeSqlite.js"
import { packagesFor, unfit } from "./version.js"

/** The version of the installed package, from its `package.json`; `undefined` where there is none to be found. */
const installedVersion = (): string | undefined => {
  try {
    const file = createRequire(import.meta.url).resolve("better-sqlite3/package.json")
    const { version } = JSON.parse(Fs.readFileSync(file, "utf8")) as { readonly version?: unknown }
    return typeof version === "string" ? version : undefined
  } catch {
    return undefined
  }
}

const refuse = (database: string, what: string, advice: string, cause?: unknown): Fault =>
  connectionFault({ database }, { reason: "Unsupported", outcome: "NotSent", what, advice, cause })

/** Refuses what is known not to run here, without loading anything. */
export const check = (choice: SqliteModule, database: string): Fault | undefined => {
  if (choice === "node:sqlite") {
    const lacking = NodeSqlite.lacking()
    return lacking === undefined
      ? undefined
      : refuse(
        database,
        lacking,
        `use Node ${NodeSqlite.since}, or run \`npm install ${packagesFor(process.versions.node)}\``
      )
  }
  const installed = installedVersion()
  const pair = installed === undefined ? undefined : unfit(installed, process.versions.node)
  return pair === undefined ? undefined : refuse(
    database,
    pair.what,
    NodeSqlite.lacking() === undefined ? `${pair.advice}, or set sqliteModule to node:sqlite` : pair.advice
  )
}

/** better-sqlite3 loads its binary when the first handle is made, and lists the dozen places where it looked. */
const isWithoutBinary = (cause: unknown): boolean =>
  cause instanceof Error &&
  (cause.message.startsWith("Could not locate the bindings file") || codeOf(cause) === "ERR_DLOPEN_FAILED" ||
    // Version 13 requires the place of a binary that it was compiled to, where there is no prebuilt one.
    codeOf(cause) === "MODULE_NOT_FOUND" && cause.message.includes("better_sqlite3.node"))

/** The package, with its binary loaded. Throws what Node throws, where it cannot be. */
const loadPackage = async (): Promise<Loaded> => {
  // `Constructor` names what is used of the package, which its published types have in other words.
  const Database = (await import("better-sqlite3")).default as unknown as Constructor
  new Database(":memory:").close()
  return { Database, name: `better-sqlite3@${installedVersion() ?? "unknown"}` }
}

/** What is said where an installed package cannot be loaded; nothing where there is none. */
const passedOver = (cause: unknown): string | undefined => {
  const installed = installedVersion()
  // better-sqlite3 lists, in lines of their own, the places where it has looked.
  const [why] = String(cause).split("\n")
  return installed &&
    `better-sqlite3 ${installed} is installed and cannot be loaded (${why}): Node's own node:sqlite is ` +
      "opened instead. Let npm run its install script (`npm rebuild better-sqlite3`), or set sqliteModule to node:sqlite."
}

/** Kept: programs that transform modules while they load ask for each import anew. */
const loaded = new Map<SqliteModule, Loaded>()

const keep = (choice: SqliteModule, module: Loaded): Loaded => {
  loaded.set(choice, module)
  return module
}

const loadNow = async (choice: SqliteModule, database: string): Promise<Loaded> => {
  const refused = check(choice, database)
  if (refused !== undefined) {
    throw refused
  }
  if (choice === "node:sqlite") {
    return NodeSqlite.load()
  }
  try {
    return await loadPackage()
  } catch (cause) {
    if (choice === "auto" && NodeSqlite.lacking() === undefined) {
      return { ...NodeSqlite.load(), passedOver: passedOver(cause) }
    }
    if (isWithoutBinary(cause)) {
      throw refuse(
        database,
        "the binary of better-sqlite3 is missing, or made for another version of Node",
        "let npm run its install script: `npm rebuild better-sqlite3`",
        cause
      )
    }
    // Not by the words of the failure: a program that transforms modules while it loads has others.
    if (installedVersion() === undefined) {
      throw refuse(
        database,
        "the package better-sqlite3 is not installed",
        `run \`npm install ${packagesFor(process.versions.node)}\``,
        cause
      )
    }
    throw cause
  }
}

/**
 * Loads the module that the choice asks for: with `auto` better-sqlite3 where it is installed and its binary can be loaded,
 * else node:sqlite. Fails with a fault, or with what `import` threw.
 */
export const load = async (choice: SqliteModule, database: string): Promise<Loaded> =>
  loaded.get(choice) ?? keep(choice, await loadNow(choice, database))

/** Loads whichever module there is: the locks that SQLite takes on a file are the same for all. */
export const loadAny = async (database: string): Promise<Loaded> => {
  const [one] = loaded.values()
  if (one !== undefined) {
    return one
  }
  return load(
    check("auto", database) !== undefined && NodeSqlite.lacking() === undefined ? "node:sqlite" : "auto",
    database
  )
}
