/**
 * The database that a name on the command line stands for: capitals and separators do not matter, because those of variables and folders
 * are not the ones of the program's tag.
 */
import * as Fs from "node:fs"
import { spellings } from "../config/variables.js"

/** What is compared of two names. */
export const plain = (name: string): string => name.replace(/[^A-Za-z\d]/g, "").toLowerCase()

const folders = (): ReadonlyArray<string> => {
  try {
    return Fs.readdirSync("migrations")
  } catch {
    return []
  }
}

/** The folder of migrations of a database: that of its name, or the only one of the same letters. */
export const folderOf = (name: string): string => {
  const all = folders()
  const same = all.includes(name) ? [] : all.filter((folder) => plain(folder) === plain(name))
  return `migrations/${same.length === 1 ? same[0]! : name}`
}

const isSpelling = (name: string, variable: string): boolean =>
  spellings(name).some((spelling) => spelling.toLowerCase() === variable)

/** The name under which a database is configured that was probably meant by another spelling. */
export const configuredAs = (name: string, known: ReadonlyArray<string>): string => {
  if (known.some((other) => isSpelling(name, other))) {
    return name
  }
  const same = known.filter((other) => plain(other) === plain(name))
  // The folder has the name as the program spells it.
  return same.length !== 1
    ? name
    : folders().find((folder) => plain(folder) === plain(name) && isSpelling(folder, same[0]!)) ?? same[0]!
}
