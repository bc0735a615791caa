"""How the notebooks are run, and what each of them computes.

=====================  ==============================  ==================================================
notebook               module                          tables
=====================  ==============================  ==================================================
01_data                ``nb01_data``                   data, ceiling, duplicates
02_baselines           ``nb02_baselines``              headline, rivals, gap, differences, published
03_training            ``nb03_training``               training, training_differences
04_ablations           ``nb04_ablations``              ablations, ablation_differences
05_calibration         ``nb05_calibration``            calibration, calibration_differences,
                                                       method_differences
06_leakage             ``nb06_leakage``                reported, epochs, auroc
07_your_own_model      ``nb07_your_own_model``         own_model, own_model_differences
08_decision_rules      ``nb08_decision_rules``         rules, rule_differences, trained_and_tested, ladder,
                                                       left_out
09_rule_ablations      ``nb09_rule_ablations``         rule_ablations, rule_ablation_differences
10_losses              ``nb10_losses``                 losses, loss_differences, codes
11_noise               ``nb11_noise``                  noise, noise_differences, kept, windows,
                                                       window_differences, robustness,
                                                       robustness_differences
12_automation          ``nb12_automation``             coverage, coverage_differences, promises, redraws
13_groups              ``nb13_groups``                 groups, group_differences
14_blocks              ``nb14_blocks``                 blocks, block_choice, block_weights,
                                                       block_differences
15_self_training       ``nb15_self_training``          self_training, self_training_differences
16_label_queries       ``nb16_label_queries``          label_queries, label_query_differences
17_protocol            ``nb17_protocol``               selection, batches, attribution, ceiling
18_splits              ``nb18_splits``                 splits, auroc
=====================  ==============================  ==================================================

Each module has the functions ``claims(tables)``, all that its notebook finds, and ``finding(tables)``, the
answer to its question in sentences. ``core`` is what all of them share and asks no question: configuration,
cache, base models, rules, cross-fitting, results. ``reproduce`` runs the notebooks, ``headings`` writes their
heads, ``verify`` checks what is published, ``across_datasets`` sums all data sets up, ``report`` writes the
figures of README.md and docs/, ``bad_input`` the table of errors there, ``benchmarks`` times the parts
against their peers.
"""
