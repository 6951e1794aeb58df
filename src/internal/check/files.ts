/**
 * The files of a check: those of the folder, and those that the program's sources name by `Db.sqlFile`.
 */
import * as fs from "node:fs"
import * as path from "node:path"
import type { At, CheckProblem } from "./model.js"
import { toName } from "./names.js"
import type { Source } from "./read.js"

/** Where files are looked for. */
export interface Places {
  /** The project's root: paths of `Db.sqlFile` begin there. */
  readonly root: string
  /** The folder of `.sql` files, from the root. */
  readonly queries: string
  /** The folder of TypeScript that is looked through for `Db.sqlFile`, from the root. */
  readonly sources: string
}

/** The files that were found. */
export interface Found {
  readonly sources: ReadonlyArray<Source>
  readonly problems: ReadonlyArray<CheckProblem>
  /** What was not looked at. */
  readonly warnings: ReadonlyArray<CheckProblem>
}

const slashed = (file: string): string => file.replaceAll("\\", "/")

/** The files below a folder, by their paths from it, in the order of their names. Nothing of a folder that is not there. */
const below = (folder: string, wanted: RegExp): ReadonlyArray<string> => {
  const found: Array<string> = []
  const look = (at: string): void => {
    for (const entry of fs.readdirSync(path.join(folder, at), { withFileTypes: true })) {
      const file = at === "" ? entry.name : `${at}/${entry.name}`
      const isLooked = entry.isDirectory() && entry.name !== "node_modules" && !entry.name.startsWith(".")
      if (isLooked) look(file)
      else if (!entry.isDirectory() && wanted.test(entry.name)) found.push(file)
    }
  }
  if (fs.statSync(folder, { throwIfNoEntry: false })?.isDirectory() === true) look("")
  return found.sort()
}

/** A call with a literal as its only argument; and any other call. */
const call = /\.sqlFile\(\s*(?:(["'`])((?:(?!\1)[^\\\r\n$])*)\1\s*,?\s*\))?/g

/** Whether a place of a source is in a comment, as far as its line tells. */
const isComment = (text: string, at: number): boolean => {
  const line = text.slice(text.lastIndexOf("\n", at) + 1, at)
  return /^\s*(?:\*|\/\*)|\/\//.test(line)
}

/** The paths that the program's sources name, and the calls whose path is no literal. */
const named = ({ root, sources }: Places) => {
  const paths = new Map<string, At>()
  const unread: Array<At> = []
  for (const name of below(path.join(root, sources), /(?<!\.d)\.[mc]?tsx?$/)) {
    const file = slashed(path.join(sources, name))
    const text = fs.readFileSync(path.join(root, sources, name), "utf8")
    for (const match of text.matchAll(call)) {
      const at = { file, line: text.slice(0, match.index).split("\n").length }
      if (isComment(text, match.index)) continue
      if (match[2] === undefined) unread.push(at)
      else if (!paths.has(path.normalize(match[2]))) paths.set(path.normalize(match[2]), at)
    }
  }
  return { paths, unread }
}

/** A file's statements, or why it cannot be read: it may be a folder, a link to nothing, or of another user. */
const sourceOf = (root: string, file: string, name: string, isFunction: boolean): Source | CheckProblem => {
  try {
    return {
      file: slashed(file),
      text: fs.readFileSync(path.resolve(root, file), "utf8"),
      name: toName(name.replace(/\.sql$/i, "")),
      isFunction
    }
  } catch (cause) {
    const code = (cause as NodeJS.ErrnoException).code ?? "unknown reason"
    return { file: slashed(file), line: 1, message: `this file cannot be read (${code})` }
  }
}

/** Finds the files. Throws what Node throws where a folder or a source of the program cannot be read. */
export const find = (places: Places): Found => {
  const { queries, root } = places
  const names = below(path.join(root, queries), /\.sql$/i)
  const sources: Array<Source> = []
  const problems: Array<CheckProblem> = []
  const put = (found: Source | CheckProblem): void => {
    if ("text" in found) sources.push(found)
    else problems.push(found)
  }
  for (const name of names) put(sourceOf(root, path.join(queries, name), name, true))
  const inFolder = new Set(names.map((name) => path.normalize(path.join(queries, name))))
  const { paths, unread } = named(places)
  for (const [file, at] of paths) {
    if (inFolder.has(file)) continue
    if (fs.existsSync(path.resolve(root, file))) put(sourceOf(root, file, file, false))
    else problems.push({ ...at, message: `there is no file ${slashed(file)} (paths begin at the project's root)` })
  }
  const warnings = unread.map((at) => ({ ...at, message: "not checked: the path of this file is no literal" }))
  return { sources, problems, warnings }
}
