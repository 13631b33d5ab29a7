/** What package.json says about the project. It is the one place for the organization, the repository and the authors. */
import manifest from '../../package.json' with { type: 'json' };

/** The project as packages, pages and releases name it. */
export interface Project {
  readonly name: string;
  readonly version: string;
  /** `https://github.com/ORGANIZATION/NAME`. */
  readonly repositoryUrl: string;
  readonly organization: string;
  /** Where users report problems. */
  readonly issuesUrl: string;
  /** Where users read about the project. */
  readonly homepage: string;
  readonly authors: string;
  /** The address that packages name as their maintainer. */
  readonly email: string;
  /** The version of Node that the executables contain, and that runs the tests. */
  readonly nodeVersion: string;
}

/** The fields of package.json that this file reads. */
export interface Manifest {
  readonly name: string;
  readonly version: string;
  readonly author: string;
  readonly repository: { readonly url: string };
  readonly optionalDependencies: Readonly<Record<string, string>>;
}

const REPOSITORY = /^git\+(https:\/\/github\.com\/([\w-]+)\/([\w-]+))\.git$/;
const AUTHOR = /^([^<>]+) <([^<>@\s]+@[^<>@\s]+)>$/;

function readNodeVersion(packages: Manifest['optionalDependencies']): string {
  const versions = Object.entries(packages).flatMap(([name, version]) => (name.startsWith('node-') ? [version] : []));
  const [version, ...others] = new Set(versions);
  if (version === undefined || others.length > 0)
    throw new Error('package.json must name one version of Node in optionalDependencies, for every platform');
  return version;
}

/**
 * Reads the project from package.json.
 *
 * @throws Error when a field has another form than npm's documentation of package.json recommends
 */
export function readProject({ name, version, author, repository, optionalDependencies }: Manifest): Project {
  const [, repositoryUrl, organization, repositoryName] = REPOSITORY.exec(repository.url) ?? [];
  if (repositoryUrl === undefined || organization === undefined || repositoryName !== name)
    throw new Error(`package.json: repository.url must be git+https://github.com/ORGANIZATION/${name}.git`);
  const [, authors, email] = AUTHOR.exec(author) ?? [];
  if (authors === undefined || email === undefined) throw new Error('package.json: author must be NAME <ADDRESS>');
  return {
    name,
    version,
    repositoryUrl,
    organization,
    issuesUrl: `${repositoryUrl}/issues`,
    homepage: `${repositoryUrl}#readme`,
    authors,
    email,
    nodeVersion: readNodeVersion(optionalDependencies),
  };
}

/** This project. */
export const PROJECT: Project = readProject(manifest);
