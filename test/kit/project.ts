/**
 * The package as its users have it: built, and installed in an otherwise empty project.
 *
 * - `buildPackage()`: compiles `src` as `npm run build` does, packs it with `npm pack` and unpacks that.
 * - `Project.make(build, packages)`: `Effect<Project, never, Scope>`; a folder whose `node_modules` holds `dblive`, its required peers and
 *   the named packages, nothing else. `project.run(code, env?)` runs a module there: `{ code, stdout, stderr }`. `project.check(code, options?)` type-checks one.
 * - `Project.install(build, packages)`: the same by `npm install` of the archive and the named packages, in this repository's versions; or
 *   why npm could not get them.
 */
import { createPackageFromTarballData } from "@arethetypeswrong/core"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { execFile } from "node:child_process"
import { createHash } from "node:crypto"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { fileURLToPath } from "node:url"
import { afterAll } from "vitest"
import { packageFolder } from "./packages.js"
import { compileInto, sources } from "./packed.js"

const root = fileURLToPath(new URL("../..", import.meta.url))
const modules = path.dirname(packageFolder("effect"))
const compiler = path.join(packageFolder("typescript"), "bin/tsc")

/** What `package.json` says. */
export const manifest: {
  readonly exports: Readonly<Record<string, string | null | { readonly types: string; readonly default: string }>>
  readonly dependencies: Readonly<Record<string, string>>
  readonly peerDependencies: Readonly<Record<string, string>>
  readonly peerDependenciesMeta: Readonly<Record<string, { readonly optional?: boolean }>>
} = JSON.parse(fs.readFileSync(path.join(root, "package.json"), "utf8"))

/** Peers without which the package does nothing. */
export const requiredPeers: ReadonlyArray<string> = Object.keys(manifest.peerDependencies)
  .filter((name) => manifest.peerDependenciesMeta[name]?.optional !== true)

/** How a process ended. */
export interface Ended {
  readonly code: number
  readonly stdout: string
  readonly stderr: string
}

const node = (args: ReadonlyArray<string>, cwd: string, env: Readonly<Record<string, string>> = {}): Promise<Ended> =>
  new Promise((resolve) => {
    const inherited = {
      PATH: process.env["PATH"],
      HOME: cwd,
      TMPDIR: os.tmpdir(),
      SystemRoot: process.env["SystemRoot"]
    }
    execFile(process.execPath, args, { cwd, env: { ...inherited, ...env } }, (error, stdout, stderr) => {
      // A process that could not be started has a code that is a word.
      const code = error === null ? 0 : typeof error.code === "number" ? error.code : 1
      resolve({ code, stdout, stderr })
    })
  })

const temporaryFolder = (): string => fs.realpathSync(fs.mkdtempSync(path.join(os.tmpdir(), "dblive-project-")))

const remove = (directory: string) => fs.rmSync(directory, { recursive: true, force: true })

/**
 * The copy of the package that goes from one project of a test file to the next. It must be a copy, since a link would find
 * the packages of this repository; and to copy it takes longer than most of what is done with it.
 */
const spare = path.join(os.tmpdir(), `dblive-spare-${process.pid}`)
afterAll(() => remove(spare))

const putPackage = (build: Build, place: string) => {
  if (fs.existsSync(spare)) fs.renameSync(spare, place)
  else fs.cpSync(build.directory, place, { recursive: true })
}

const takePackage = (place: string) => {
  if (!fs.existsSync(spare)) fs.renameSync(place, spare)
}

/** The package as `npm publish` would send it. */
export interface Build {
  /** The archive. */
  readonly tarball: string
  /** What is in it: `package.json`, `dist`, ... */
  readonly directory: string
  /** Its files, relative to `directory`. */
  readonly files: ReadonlyArray<string>
  /** The compiler's complaints. */
  readonly output: string
}

/** Builds that others of the same sources have made are used again: they are named after what they are made of. */
const builds = path.join(modules, ".cache/dblive")
const fingerprint = (): string => {
  const hash = createHash("sha256")
  const add = (file: string): void => {
    if (fs.statSync(file).isDirectory()) {
      for (const name of fs.readdirSync(file).sort()) add(path.join(file, name))
    } else {
      hash.update(path.relative(root, file)).update("\0").update(fs.readFileSync(file)).update("\0")
    }
  }
  for (const source of sources) add(path.join(root, source))
  return hash.digest("hex").slice(0, 16)
}

const npmBeside = (execPath: string): string => {
  const places = ["../lib/node_modules/npm/bin/npm-cli.js", "node_modules/npm/bin/npm-cli.js"]
  return places.map((place) => path.join(path.dirname(execPath), place)).find((place) => fs.existsSync(place)) ??
    places[0]!
}

/** npm's own files stand beside node or where the running npm says. */
const npm = process.env["npm_execpath"] ?? npmBeside(process.execPath)

const packageIn = async (directory: string): Promise<void> => {
  const stage = path.join(directory, "stage")
  for (const source of sources) fs.cpSync(path.join(root, source), path.join(stage, source), { recursive: true })
  const output = await compileInto(stage, (args) => node(args, root))
  const packed = await node(
    [npm, "pack", "--ignore-scripts", "--silent", "--pack-destination", directory],
    stage
  )
  const tarball = path.join(directory, "package.tgz")
  const made = fs.readdirSync(directory).find((name) => name.endsWith(".tgz"))
  if (made === undefined) throw new Error(`npm pack made nothing: ${packed.stdout}${packed.stderr}`)
  fs.renameSync(path.join(directory, made), tarball)
  fs.rmSync(stage, { recursive: true })
  const archive = createPackageFromTarballData(fs.readFileSync(tarball))
  for (const file of archive.listFiles()) {
    // The archive's root is `package`, which attw shows as node_modules/dblive.
    const place = path.join(directory, "package", file.replace(/^\/node_modules\/dblive\//, ""))
    fs.mkdirSync(path.dirname(place), { recursive: true })
    fs.writeFileSync(place, archive.readFile(file))
  }
  fs.writeFileSync(path.join(directory, "output.txt"), output)
}

const ageOf = (file: string): number => {
  try {
    return Date.now() - fs.statSync(file).mtimeMs
  } catch {
    return 0
  }
}

/** Compiles and packs the package, once for the same sources. */
export const buildPackage = async (): Promise<Build> => {
  fs.mkdirSync(builds, { recursive: true })
  const place = path.join(builds, fingerprint())
  const lock = `${place}.lock`
  while (!fs.existsSync(place)) {
    try {
      fs.mkdirSync(lock)
    } catch {
      // Another worker builds it; a lock this old has lost its owner.
      if (ageOf(lock) > 180_000) fs.rmSync(lock, { recursive: true, force: true })
      await new Promise((resolve) => setTimeout(resolve, 200))
      continue
    }
    try {
      if (fs.existsSync(place)) break
      for (const name of fs.readdirSync(builds)) {
        if (ageOf(path.join(builds, name)) > 86_400_000) remove(path.join(builds, name))
      }
      const directory = fs.mkdtempSync(`${place}.making-`)
      await packageIn(directory)
      fs.renameSync(directory, place)
    } finally {
      fs.rmSync(lock, { recursive: true, force: true })
    }
  }
  const directory = path.join(place, "package")
  const files = fs.readdirSync(directory, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => path.relative(directory, path.join(entry.parentPath, entry.name)).replaceAll(path.sep, "/"))
    .sort()
  return {
    directory,
    files,
    tarball: path.join(place, "package.tgz"),
    output: fs.readFileSync(path.join(place, "output.txt"), "utf8")
  }
}

/** A project that uses the package. */
export interface Project {
  readonly directory: string
  readonly run: (code: string, env?: Readonly<Record<string, string>>) => Effect.Effect<Ended>
  /** Runs the package's command. */
  readonly dblive: (args: ReadonlyArray<string>, env?: Readonly<Record<string, string>>) => Effect.Effect<Ended>
  /** Type-checks a module; the declarations of packages as well where `libraries` is true. */
  readonly check: (
    code: string,
    options: { readonly module: "nodenext" | "bundler"; readonly libraries?: boolean }
  ) => Effect.Effect<Ended>
  /** Type-checks several modules in one run of the compiler. */
  readonly checkAll: (
    modules: ReadonlyArray<{ readonly file: string; readonly text: string }>
  ) => Effect.Effect<Ended>
  /** Runs npm there. */
  readonly npm: (...args: ReadonlyArray<string>) => Effect.Effect<Ended>
}

/** The settings of npm that say where packages come from, without those of the run that this is part of. */
const npmSettings = (): Readonly<Record<string, string>> =>
  Object.fromEntries(
    Object.entries(process.env).flatMap(([name, value]) =>
      value === undefined || /^npm_(?!config_(cache|registry|userconfig)$)/i.test(name) ? [] : [[name, value]]
    )
  )

/** What npm says when it cannot reach a registry, or is not let in. */
const unreachable =
  /\b(ENOTCACHED|EAI_AGAIN|ENOTFOUND|ECONNREFUSED|ECONNRESET|ETIMEDOUT|ENETUNREACH|EHOSTUNREACH|E40[13])\b/

const versionHere = (name: string): string => {
  const { version }: { readonly version: string } = JSON.parse(
    fs.readFileSync(path.join(packageFolder(name), "package.json"), "utf8")
  )
  return version
}

const emptyFolder = Effect.acquireRelease(
  Effect.sync(() => {
    const directory = temporaryFolder()
    fs.writeFileSync(path.join(directory, "package.json"), JSON.stringify({ type: "module", private: true }))
    return directory
  }),
  (directory) => Effect.sync(() => remove(directory))
)

const projectIn = (directory: string): Project => {
  const compile = (files: ReadonlyArray<string>, compilerOptions: Record<string, unknown>) => {
    const options = {
      noEmit: true,
      // Nothing is written, but it is said where a declaration could not be: a type without a name for users.
      declaration: true,
      strict: true,
      exactOptionalPropertyTypes: true,
      target: "es2022",
      ...compilerOptions
    }
    fs.writeFileSync(path.join(directory, "tsconfig.json"), JSON.stringify({ compilerOptions: options, files }))
    return node([compiler, "-p", "."], directory)
  }
  return {
    directory,
    run: (code, env) =>
      Effect.promise(() => {
        fs.writeFileSync(path.join(directory, "main.js"), code)
        return node(["main.js"], directory, env)
      }),
    dblive: (args, env) =>
      Effect.promise(() => node(["node_modules/dblive/dist/internal/cli/main.js", ...args], directory, env)),
    check: (code, { libraries = false, module }) =>
      Effect.promise(() => {
        fs.writeFileSync(path.join(directory, "main.ts"), code)
        return compile(["main.ts"], {
          ...(module === "nodenext" ? { module } : { module: "esnext", moduleResolution: module }),
          skipLibCheck: !libraries,
          types: []
        })
      }),
    checkAll: (modules) =>
      Effect.promise(() => {
        for (const { file, text } of modules) fs.writeFileSync(path.join(directory, file), text)
        return compile(modules.map(({ file }) => file), {
          module: "nodenext",
          skipLibCheck: true,
          types: fs.existsSync(path.join(directory, "node_modules/@types/node")) ? ["node"] : []
        })
      }),
    npm: (...args) => Effect.promise(() => node([npm, ...args], directory, npmSettings()))
  }
}

/** A project that uses the package. */
export const Project = {
  /** Makes one, in a temporary folder that the scope removes. */
  make: (build: Build, packages: ReadonlyArray<string>): Effect.Effect<Project, never, Scope.Scope> =>
    Effect.gen(function*() {
      const directory = yield* emptyFolder
      const modulesFolder = path.join(directory, "node_modules")
      const place = path.join(modulesFolder, "dblive")
      yield* Effect.acquireRelease(
        Effect.sync(() => {
          fs.mkdirSync(modulesFolder)
          putPackage(build, place)
        }),
        () => Effect.sync(() => takePackage(place))
      )
      for (const name of new Set([...requiredPeers, ...Object.keys(manifest.dependencies), ...packages])) {
        const place = path.join(modulesFolder, name)
        fs.mkdirSync(path.dirname(place), { recursive: true })
        fs.symlinkSync(packageFolder(name), place, "junction")
      }
      return projectIn(directory)
    }),

  /**
   * Makes one by `npm install` of the archive and the packages, in the versions that this repository has, which lie in npm's
   * cache since `npm ci`. Without scripts: a native module's binary is the one that was compiled here. Gives what npm said
   * where it could reach no registry; any other fault of npm is a defect.
   */
  install: (build: Build, packages: ReadonlyArray<string>): Effect.Effect<Project | string, never, Scope.Scope> =>
    Effect.gen(function*() {
      const project = projectIn(yield* emptyFolder)
      const { code, stderr, stdout } = yield* project.npm(
        "install",
        "--prefer-offline",
        "--ignore-scripts",
        "--no-audit",
        "--no-fund",
        build.tarball,
        ...packages.map((name) => `${name}@${versionHere(name)}`)
      )
      if (code !== 0) {
        return unreachable.test(stderr) ? stderr : yield* Effect.dieMessage(`npm install: ${stdout}${stderr}`)
      }
      for (const binary of ["better-sqlite3/build/Release/better_sqlite3.node"]) {
        const place = path.join(project.directory, "node_modules", binary)
        // Version 13 brings its binaries, and compiles none.
        if (
          packages.some((name) => binary.startsWith(`${name}/`)) &&
          fs.existsSync(path.join(modules, binary))
        ) {
          fs.mkdirSync(path.dirname(place), { recursive: true })
          fs.copyFileSync(path.join(modules, binary), place)
        }
      }
      return project
    })
}
