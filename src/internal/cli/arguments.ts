/**
 * Reading the arguments of the process: which command, with which options; and what is wrong with them, with the word that was probably
 * meant. What is right is handed to @effect/cli in one order: options, then `--`, then arguments.
 */
import { nearest } from "../config/nearest.js"
import { optionWords } from "./effectCli.js"
import type { OptionShape, Shape } from "./shape.js"

/** A command with what it was given. */
export interface Call {
  readonly _tag: "Call"
  readonly shape: Shape
  readonly options: ReadonlyArray<readonly [name: string, value: string | undefined]>
  readonly arguments: ReadonlyArray<string>
}

/** Something about the command line itself. */
type About =
  | { readonly _tag: "Version" }
  /** `isAsked`: not only because nothing else was asked for. */
  | { readonly _tag: "Overview"; readonly isAsked: boolean }

/** What only @effect/cli knows how to do, with its arguments. */
interface Passed {
  readonly _tag: "Passed"
  readonly words: ReadonlyArray<string>
}

interface Fault {
  readonly _tag: "Fault"
  readonly message: string
  readonly command: string | undefined
}

interface Help {
  readonly _tag: "Help"
  readonly shape: Shape
}

/** What the arguments ask for. */
export interface Asked {
  readonly what: Call | About | Passed | Fault | Help
  /** One JSON document is to be written, also of a fault. */
  readonly json: boolean
  readonly logLevel: string | undefined
}

/** Options that may stand anywhere and that no command declares. */
const everywhere: ReadonlyArray<OptionShape> = [
  {
    names: ["-h", "--help"],
    value: undefined,
    choices: [],
    isMap: false,
    text: "what a command does, and all its options"
  },
  {
    names: ["--log-level"],
    value: "LEVEL",
    choices: ["all", "trace", "debug", "info", "warning", "error", "fatal", "none"],
    isMap: false,
    text: "debug shows what happens"
  },
  { names: ["--version"], value: undefined, choices: [], isMap: false, text: "that of dblive" }
]

/** A text such as SQL may begin with two dashes; an option is one word. */
const isOption = (word: string): boolean => /^-{1,2}[A-Za-z]/.test(word) && !/\s/.test(word.split("=")[0]!)

const bare = (name: string): string => name.replace(/^-+/, "").toLowerCase()

class Problem {
  constructor(readonly message: string, readonly command: string | undefined) {}
}

const meant = (near: string | undefined): string => near === undefined ? "" : `; is ${near} meant?`

/** The option that an unknown one was probably meant to be, by its long name. */
const nearOption = (word: string, options: ReadonlyArray<OptionShape>): string | undefined => {
  const name = bare(word.split("=")[0]!)
  const longs = options.map(({ names }) => names.at(-1)!)
  const near = longs.find((long) => bare(long) === name) ??
    longs.find((long) => bare(long).replaceAll("-", "") === name) ??
    nearest(name, longs.map(bare))
  return near === undefined || near.startsWith("--") ? near : `--${near}`
}

/** The words of one command, read one after the other. */
class Words {
  readonly options: Array<readonly [string, string | undefined]> = []
  readonly arguments: Array<string> = []
  private at = 0

  constructor(private readonly shape: Shape, private readonly words: ReadonlyArray<string>) {}

  read(): void {
    while (this.at < this.words.length) {
      const word = this.words[this.at++]!
      if (word === "--") {
        this.arguments.push(...this.words.slice(this.at))
        break
      }
      if (isOption(word)) {
        this.option(word)
      } else {
        this.arguments.push(word)
      }
    }
    this.checkArguments()
  }

  private option(word: string): void {
    const equals = word.indexOf("=")
    const name = equals < 0 ? word : word.slice(0, equals)
    const option = this.find(name)
    if (option !== undefined) {
      return this.take(option, equals < 0 ? undefined : word.slice(equals + 1))
    }
    // Several of one letter at once, such as -yd NAME.
    const letters = /^-[A-Za-z]{2,}$/.test(word) ? [...word.slice(1)].map((letter) => this.find(`-${letter}`)) : []
    if (
      letters.length > 0 &&
      letters.every((found, i) => found !== undefined && (found.value === undefined || i === letters.length - 1))
    ) {
      return letters.forEach((found) => this.take(found!, undefined))
    }
    throw this.problem(`${name} is no option of ${this.shape.name}${meant(nearOption(name, this.all))}`)
  }

  private get all(): ReadonlyArray<OptionShape> {
    return [...this.shape.options, ...everywhere]
  }

  private find(name: string): OptionShape | undefined {
    // A capital letter may be another option of one letter; long names are read in any case, as @effect/cli does.
    const wanted = name.startsWith("--") ? name.toLowerCase() : name
    return this.all.find(({ names }) => names.includes(wanted))
  }

  private take(option: OptionShape, inline: string | undefined): void {
    const name = option.names.at(-1)!
    if (!option.isMap && this.options.some(([other]) => other === name)) {
      throw this.problem(`${name} is given twice`)
    }
    if (option.value === undefined) {
      if (inline !== undefined && !/^(?:true|false)$/.test(inline)) {
        throw this.problem(`${name} takes no value`)
      }
      this.options.push([name, inline])
      return
    }
    const next = inline ?? this.words[this.at]
    if (next === undefined || (inline === undefined && this.find(next) !== undefined)) {
      throw this.problem(`${name} needs a value: ${name} ${option.value}`)
    }
    if (inline === undefined) {
      this.at++
    }
    if (option.isMap && !/^[^=]+=./s.test(next)) {
      throw this.problem(`${name} needs a key and a value: ${name} ${option.value}`)
    }
    if (option.choices.length > 0 && !option.choices.includes(next)) {
      const near = nearest(next.toLowerCase(), option.choices)
      throw this.problem(
        `${name}: "${next}" is not accepted${meant(near)} (accepted: ${option.choices.join(", ")})`
      )
    }
    this.options.push([name, next])
  }

  private checkArguments(): void {
    const { arguments: taken, name } = this.shape
    if (this.options.some(([option]) => option === "--help")) {
      return
    }
    const missing = taken[this.arguments.length]
    if (missing?.isRequired === true) {
      throw this.problem(`${missing.name} is missing: dblive ${name} ${missing.name}`)
    }
    const extra = this.arguments[taken.length]
    if (extra !== undefined) {
      const near = /^[\w-]+$/.test(extra) ? nearOption(extra, this.all) : undefined
      const map = /^[\w.-]+=/.test(extra) ? this.shape.options.find(({ isMap }) => isMap) : undefined
      throw this.problem(
        `"${extra}" is one argument too many: ${name} takes ${
          taken.length === 0 ? "none" : taken.map((argument) => argument.name).join(" ")
        }${meant(near ?? (map === undefined ? undefined : `${map.names.at(-1)!} ${extra}`))}`
      )
    }
  }

  private problem(message: string): Problem {
    return new Problem(message, this.shape.name)
  }
}

const isJson = (words: ReadonlyArray<string>): boolean => {
  const end = words.indexOf("--")
  return (end < 0 ? words : words.slice(0, end)).some((word) => word.toLowerCase() === "--json")
}

const call = (shape: Shape, words: ReadonlyArray<string>): Asked => {
  const read = new Words(shape, words)
  read.read()
  const has = (name: string) => read.options.some(([option]) => option === name)
  const wantsJson = isJson(words) && read.options.some(([option, value]) => option === "--json" && value !== "false")
  const logLevel = read.options.find(([option]) => option === "--log-level")?.[1]
  const isCommon = (name: string) => everywhere.some(({ names }) => names.includes(name))
  return {
    json: wantsJson,
    logLevel,
    what: has("--help") ? { _tag: "Help", shape } : has("--version") ? { _tag: "Version" } : {
      _tag: "Call",
      shape,
      options: read.options.filter(([name]) => !isCommon(name)),
      arguments: read.arguments
    }
  }
}

/** Options in front of the command belong behind it. */
const commandFirst = (words: ReadonlyArray<string>): ReadonlyArray<string> => {
  const front: Array<string> = []
  let at = 0
  for (; at < words.length; at++) {
    const word = words[at]!.toLowerCase()
    if (word === "--log-level") {
      front.push(words[at]!, ...words.slice(at + 1, at + 2))
      at++
    } else if (word.startsWith("--log-level=") || word === "--json") {
      front.push(words[at]!)
    } else {
      break
    }
  }
  return [...words.slice(at, at + 1), ...front, ...words.slice(at + 1)]
}

/** What the words behind the name of the program ask for. */
export const read = (given: ReadonlyArray<string>, shapes: ReadonlyArray<Shape>): Asked => {
  const wantsJson = isJson(given)
  const [word, ...rest] = commandFirst(given)
  const asked = (what: Asked["what"]): Asked => ({ what, json: wantsJson, logLevel: undefined })
  const [, name] = word === "help" || word === "-h" || word === "--help"
    ? [word, rest.find((part) => !isOption(part))]
    : ["", word]
  const isHelp = word !== name
  if (word === "--version") {
    return asked({ _tag: "Version" })
  }
  if (name === undefined || (name === "--json" && rest.length === 0)) {
    return asked({ _tag: "Overview", isAsked: isHelp })
  }
  if (name === "--completions" || name.startsWith("--completions=") || name === "--wizard") {
    return asked({ _tag: "Passed", words: given })
  }
  const shape = shapes.find((known) => known.name === name.toLowerCase())
  if (shape === undefined) {
    const near = name.startsWith("-") ? undefined : nearest(name.toLowerCase(), shapes.map((known) => known.name))
    return asked({
      _tag: "Fault",
      command: undefined,
      message: name.startsWith("-")
        ? `${name} stands before the command, where only --json and --log-level may: dblive COMMAND ${name}`
        : `${name} is no command of dblive${meant(near)} (commands: ${shapes.map((known) => known.name).join(", ")})`
    })
  }
  if (isHelp) {
    return asked({ _tag: "Help", shape })
  }
  try {
    return call(shape, rest)
  } catch (problem) {
    if (problem instanceof Problem) {
      return asked({ _tag: "Fault", message: problem.message, command: problem.command })
    }
    throw problem
  }
}

/** The call as @effect/cli reads it without doubt: what looks like an option behind `--` is none. */
export const words = ({ arguments: given, options, shape }: Call): ReadonlyArray<string> => [
  shape.name,
  ...options.flatMap(([name, value]) => value === undefined ? [name] : optionWords(name, value)),
  ...(given.length === 0 ? [] : ["--", ...given])
]

/** Those of `everywhere`, for the help. */
export const commonOptions = everywhere
