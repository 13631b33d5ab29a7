/** The options that select a context of the kubeconfig, in a run that kubectl did not start. */
import type { Option } from '../../shared/options/option.ts';
import type { OptionGroup } from '../config/option.ts';

export type SelectionOptionName = 'context' | 'kubeconfig';

export const SELECTION_OPTIONS: readonly Option<SelectionOptionName, OptionGroup>[] = [
  {
    name: 'context',
    group: 'Command',
    file: 'nowhere',
    help: 'context of the kubeconfig to use the login of; by default the current one if nothing else says where to log in',
  },
  {
    name: 'kubeconfig',
    group: 'Command',
    kind: 'file',
    file: 'nowhere',
    help: 'file to use instead of those in KUBECONFIG or ~/.kube/config',
  },
];
