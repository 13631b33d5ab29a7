/** Go's own rule, golang.org/x/net/http/httpproxy, in a small program that a Go toolchain builds from its own sources. */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { findDevelopmentCache } from '../../scripts/lib/development-cache.ts';
import type { Environment } from '../../src/shared/base/host.ts';

/** A question to Go: which proxy does this URL get? */
export interface GoQuestion {
  readonly url: string;
  readonly env: Environment;
}

const SOURCE = `package main

import (
	"encoding/json"
	"net/url"
	"os"

	"golang.org/x/net/http/httpproxy"
)

type question struct {
	URL, HTTPProxy, HTTPSProxy, NoProxy string
	CGI                                 bool
}

func answer(q question) string {
	u, err := url.Parse(q.URL)
	if err != nil {
		return "invalid"
	}
	c := httpproxy.Config{HTTPProxy: q.HTTPProxy, HTTPSProxy: q.HTTPSProxy, NoProxy: q.NoProxy, CGI: q.CGI}
	proxy, err := c.ProxyFunc()(u)
	if err != nil {
		return "error"
	}
	if proxy == nil {
		return "direct"
	}
	return proxy.String()
}

func main() {
	var questions []question
	if err := json.NewDecoder(os.Stdin).Decode(&questions); err != nil {
		panic(err)
	}
	answers := []string{}
	for _, q := range questions {
		answers = append(answers, answer(q))
	}
	json.NewEncoder(os.Stdout).Encode(answers)
}
`;

const first = (env: Environment, ...names: string[]): string =>
  names.map((name) => env[name] ?? '').find((value) => value !== '') ?? '';

/**
 * Builds the program, which takes half a minute the first time, and returns the function that asks it.
 *
 * @param folder for the program
 */
export function buildGoProxyRule(go: string, folder: string): (questions: readonly GoQuestion[]) => string[] {
  const root = execFileSync(go, ['env', 'GOROOT'], { encoding: 'utf8' }).trim();
  const cache = join(findDevelopmentCache(), 'go-build');
  mkdirSync(cache, { recursive: true });
  // The package is among those that the standard library contains, so nothing is downloaded.
  if (!existsSync(join(root, 'src/vendor'))) throw new Error(`${root} has no sources of the standard library`);
  const module = readFileSync(join(root, 'src/go.mod'), 'utf8').replace(/^module std$/m, 'module proxyrule');
  writeFileSync(join(folder, 'go.mod'), module);
  writeFileSync(join(folder, 'main.go'), SOURCE);
  symlinkSync(join(root, 'src/vendor'), join(folder, 'vendor'));
  const program = join(folder, 'proxyrule');
  execFileSync(go, ['build', '-o', program, '.'], {
    cwd: folder,
    env: {
      PATH: process.env['PATH'],
      HOME: folder,
      GOCACHE: cache,
      GOFLAGS: '-mod=vendor',
      GOPROXY: 'off',
      GOTOOLCHAIN: 'local',
      CGO_ENABLED: '0',
    },
  });
  return (questions) => {
    const input = questions.map(({ url, env }) => ({
      URL: url,
      HTTPProxy: first(env, 'HTTP_PROXY', 'http_proxy'),
      HTTPSProxy: first(env, 'HTTPS_PROXY', 'https_proxy'),
      NoProxy: first(env, 'NO_PROXY', 'no_proxy'),
      CGI: first(env, 'REQUEST_METHOD') !== '',
    }));
    const output = execFileSync(program, { input: JSON.stringify(input), encoding: 'utf8' });
    return JSON.parse(output) as string[];
  };
}
