/**
 * Which versions of better-sqlite3 a version of Node can run. A pair that does not fit ends the process when it is used, so
 * that it has to be known before.
 */
import { clients } from "../effectPackages.js"

type Version = readonly [major: number, minor: number, patch: number]

const versionOf = (text: string): Version => {
  const [major = 0, minor = 0, patch = 0] = text.split(/[.+-]/, 3).map((part) => Number.parseInt(part, 10) || 0)
  return [major, minor, patch]
}

const isAtLeast = (version: Version, than: Version): boolean => {
  for (let i = 0; i < 3; i++) {
    if (version[i] !== than[i]) {
      return version[i]! > than[i]!
    }
  }
  return true
}

/** From here on a destructor of better-sqlite3 12 that runs in a collection aborts the process. */
const endsTwelve: Version = [24, 19, 0]

/** Before this Node-API lacks what better-sqlite3 13 calls: the process dies with a segmentation fault. */
const beginsThirteen: Version = [22, 0, 0]

/** The version of better-sqlite3 that npm is to install for a version of Node. */
const versionFor = (node: string): "12" | "13" => isAtLeast(versionOf(node), beginsThirteen) ? "13" : "12"

/**
 * Why a version of better-sqlite3 must not be loaded in a version of Node, and which one to install; `undefined` where it
 * may be.
 */
export const unfit = (
  installed: string,
  node: string
): { readonly what: string; readonly advice: string } | undefined => {
  const [major] = versionOf(installed)
  const running = versionOf(node)
  if (major < 13 && isAtLeast(running, endsTwelve)) {
    return {
      what: `better-sqlite3 ${installed} aborts the process on Node ${node} (12 does on 24.19 and later)`,
      advice: "run `npm install better-sqlite3@13`"
    }
  }
  if (major >= 13 && !isAtLeast(running, beginsThirteen)) {
    return {
      what: `better-sqlite3 ${installed} crashes the process on Node ${node} (13 does before Node 22)`,
      advice: "run `npm install better-sqlite3@12`, or use Node 22 or later"
    }
  }
  return undefined
}

/** What npm is to install for SQLite on a version of Node. */
export const packagesFor = (node: string): string =>
  // @effect/sql-sqlite-node depends on version 12, which npm would install beside 13, and compile; only its types are used.
  versionFor(node) === "12" ? ["better-sqlite3@12", ...clients.sqlite].join(" ") : "better-sqlite3@13"
